# SPDX-License-Identifier: Apache-2.0
# The output of info, except what depends on the machine.
clsa info | sed -E 's/^([a-z]+) .*/\1/'
clsa info --json | grep -oE '"[a-z_]+": ' | tr -d '\n' && echo
clsa info model.gguf | sed -n '1,/^check/p'
clsa info -v -m model.gguf 2>/dev/null | grep fingerprint
clsa info -m model.gguf --json | grep -oE '"(name|width|context|top_k)": [^,]*' |
    head -n 4
clsa info --plan -c 1K --json | grep -oE '"(context|cache|index|kv_type)": [^,]*'
clsa info --plan -c 1K --kv-type q8_0 --index-type f32 | grep -E 'cache|index'
clsa info --plan -c 1K --prefill own --json | grep -oE '"prefill": [^,]*'
for prefill in own auto; do
    clsa info --plan -c 1K --prefill $prefill | awk '
        $1 == "total" { print sum == $2 + 0 ? "whole" : sum " is not " $2 }
        { sum += NF < 4 ? 0 : $(NF - 2) }'
done
clsa info missing.gguf
head -c 100000 model.gguf >short.gguf
clsa info short.gguf 2>&1 | sed -E 's/(short.gguf: ).*/\1refused/'
echo 'no model' >text.gguf
clsa info text.gguf 2>&1 | sed -E 's/(text.gguf: ).*/\1refused/'
# Caches grow with the context; layers with windows or without K and V have none.
for arch in llama mistral qwen2 qwen3 smollm3 phi3 gemma2 gemma3_text \
    gemma4_text; do
    for context in 256 1K; do
        clsa info --plan -c $context --json \
            "$data/../fuzz/corpus/gguf/seed-$arch" |
            grep -oE '"(layers|prompt_layers|cache)": [0-9]+' |
            paste -sd ' '
    done
done
