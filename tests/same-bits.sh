#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# same-bits.sh: whether two builds of the program compute the same bits, for
# changes that may not alter any result. Both get the same arguments, and what
# they write is compared byte for byte: logits, rows that were read, losses,
# texts, models and session files. Every policy runs at every SIMD level; of
# cache types, ways of prompts, threads, types of weights and models in
# tests/data each is there at least once.
#
#   same-bits.sh [--allow-session-change] OLD_CLSA NEW_CLSA [GROUP...]
#
# Groups, all by default: policies, cache (its types), prefill (ways of
# prompts), types (of weights), data (the models of tests/data), forks, blocks
# (of 1, 7 and 512 tokens), batch, sessions, old_sessions (those of the old
# program in the new one).
# A line for each group, and at the end the number of comparisons. With
# --allow-session-change session files may have other bytes and another version;
# what follows a session that is saved and loaded has to be the same even so.
# Takes about 6 minutes on 2 cores, most of it at level ref.
#
# Environment: CLSA_SHARED (golden data, by default ../shared beside the source
# tree, for the BF16 model; without it one made of the Q8_0 model takes its
# place), KEEP (folder for the files, which then stay).
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
session_change=
if [ "${1:-}" = --allow-session-change ]; then
    session_change=1
    shift
fi
if [ $# -lt 2 ]; then
    echo "usage: same-bits.sh [--allow-session-change] OLD_CLSA NEW_CLSA" \
        "[GROUP...]" >&2
    exit 2
fi
old=$(realpath "$1")
new=$(realpath "$2")
shift 2
[ $# -gt 0 ] || set -- policies cache prefill types data forks blocks batch \
    sessions old_sessions
shared=${CLSA_SHARED:-$here/../shared}
unset CLSA_MODEL CLSA_SIMD
tiny=$here/models/clsa-tiny-q8_0.gguf
story=$here/models/chronicle.txt
folder=${KEEP:-$(mktemp -d)}
mkdir -p "$folder/old" "$folder/new" "$folder/kept"
[ -n "${KEEP:-}" ] || trap 'rm -rf "$folder"' EXIT

# Budgets so small that rows are dropped.
policies=(clsa clsa:24 dense window:40 sink:40 token:48 reuse:48:2
    longformer:40:8 bigbird:40:8:64 blocks:96:16 h2o:48)
if "$old" run -m "$tiny" --attention none x 2>&1 | grep -q anchors; then
    policies+=(anchors:48:7,9)
fi
read -ra levels <<<"$("$old" info | awk '$1 == "simd" { $1 = ""; print }')"
passed=0
failed=0
input=/dev/null # of both programs
alone=          # not empty: one after the other

# ------------------------------------------------------------------- groups

begin() {
    group=$1
    right=0
    wrong=0
    by_design=0
}

# miss TEXT: the comparison failed. The first ones of a group are shown.
miss() {
    wrong=$((wrong + 1))
    [ "$wrong" -gt 5 ] || echo "      $1"
}

# finish [WHAT]: the line of the group; WHAT its comparisons found.
finish() {
    local word=ok text="$right ${1:-the same}"
    [ $((right + by_design + wrong)) -gt 0 ] || miss "nothing was compared"
    if [ "$by_design" -gt 0 ]; then
        word='--'
        text="$text, $by_design differ by design"
    fi
    if [ "$wrong" -gt 0 ]; then
        word=FAIL
        text="$text, $wrong not"
    fi
    printf '%-5s %s: %s\n' "$word" "$group" "$text"
    passed=$((passed + right))
    failed=$((failed + wrong))
}

# ----------------------------------------------------------------- programs

# one FOLDER PROGRAM ARGUMENTS...
one() {
    local status=0
    cd "$folder/$1"
    rm -f logits rows
    "${@:2}" <"$input" >out 2>err || status=$?
    echo "$status" >status
}

# both ARGUMENTS...: each in its folder. Where each has one thread they run side
# by side, with nothing pinned.
both() {
    local process
    arguments="$*"
    if [ -n "$alone" ]; then
        (one old "$old" "$@")
        (one new "$new" "$@")
    else
        (one old "$old" "$@" -t 1 --numa off) &
        process=$!
        (one new "$new" "$@" -t 1 --numa off)
        wait "$process"
    fi
}

# same FILE...: the last command went well in both and wrote the same.
same() {
    local file name
    for name in old new; do
        [ "$(cat "$folder/$name/status")" = 0 ] && continue
        miss "$arguments: $name program: $(tail -n 1 "$folder/$name/err")"
        return
    done
    for file; do
        cmp -s "$folder/old/$file" "$folder/new/$file" && continue
        miss "$arguments: $file differs"
        return
    done
    right=$((right + 1))
}

# version FILE: of a session file.
version() {
    od -An -tu4 -j8 -N4 "$1" | tr -d ' '
}

# same_session FILE: session files may only differ if that is allowed.
same_session() {
    local file=$1
    if cmp -s "$folder/old/$file" "$folder/new/$file"; then
        right=$((right + 1))
    elif [ -n "$session_change" ] && [ -s "$folder/new/$file" ]; then
        by_design=$((by_design + 1))
    else
        miss "$arguments: session files of versions $(version \
            "$folder/old/$file") and $(version "$folder/new/$file")"
    fi
}

# logits IDS OPTIONS...
logits() {
    both eval logits -q --ids "$folder/$1" -o logits --rows rows "${@:2}"
    same logits rows
}

run() {
    both run -q "$@"
    same out
}

# ------------------------------------------------------------------- inputs

# lists FILE COUNT...: lists of so many tokens of the story, one after another.
lists() {
    local file=$1 at=0 comma='' count
    shift
    {
        printf '['
        for count; do
            printf '%s[%s]' "$comma" \
                "$(tr ' ' '\n' <"$folder/story" | sed '/^$/d' |
                    sed -n "$((at + 1)),$((at + count))p" | paste -sd,)"
            at=$((at + count))
            comma=,
        done
        echo ']'
    } >"$folder/$file"
}

# Ids for the models of tests/data, whose vocabulary has 268.
random_lists() {
    awk 'BEGIN {
        split("1 7 40 300", counts)
        for (i = 1; i <= 4; i++) {
            printf "%s[", i == 1 ? "[" : ","
            for (j = 0; j < counts[i]; j++) {
                x = (x * 1103 + 12345) % 65536
                printf "%s%d", j ? "," : "", x % 256
            }
            printf "]"
        }
        print "]"
    }' >"$folder/random"
}

make_inputs() {
    "$old" tokenize -m "$tiny" --ids -f "$story" >"$folder/story"
    lists short 1 7 100
    lists mixed 1 7 700
    lists long 512 3000
    random_lists
    head -c 8000 "$story" >"$folder/text"
    fold -w 24 "$folder/text" | sed '/^ *$/d; 60q' >"$folder/lines"
    {
        printf '{"context": "%s", "questions": [' \
            "$(tr -d '\042\134' <"$folder/text" | tr '\n' ' ')"
        printf '{"question": "\\nQuestion: %s", "answer": "?"}, ' \
            'Where is the boat?\nAnswer: The boat is'
        printf '{"question": "\\nQuestion: %s", "answer": "?"}]}\n' \
            'Who is there?\nAnswer: It is'
    } >"$folder/needles"
    {
        printf '[{"ids": %s, "positions": [%s]}]\n' \
            "$(tr -d '\n' <"$folder/mixed" | sed 's/.*,\[/[/; s/\]\]/]/')" \
            "$(seq -s, 300 9 690)"
    } >"$folder/positions"
}

# ----------------------------------------------------------------- contents

# That a difference would be seen, and that the policies drop rows.
check_itself() {
    local policy
    begin 'differences that have to be seen'
    for policy in "${policies[@]}"; do
        (one old "$old" eval logits -q -m "$tiny" --ids "$folder/long" \
            -o logits --attention "$policy")
        mv "$folder/old/logits" "$folder/kept/$policy"
        [ "$policy" = dense ] ||
            if cmp -s "$folder/kept/$policy" "$folder/kept/dense"; then
                miss "$policy reads like dense"
            else
                right=$((right + 1))
            fi
    done
    (one old "$old" eval logits -q -m "$tiny" --ids "$folder/long" \
        -o logits --attention clsa:25)
    if cmp -s "$folder/old/logits" "$folder/kept/clsa:24"; then
        miss "clsa:25 reads like clsa:24"
    else
        right=$((right + 1))
    fi
    finish seen
}

check_policies() {
    local level policy
    for level in "${levels[@]}"; do
        begin "policies, level $level"
        for policy in "${policies[@]}"; do
            logits mixed -m "$tiny" --simd "$level" --attention "$policy"
        done
        finish
    done
    begin "policies, 3000 tokens"
    for policy in "${policies[@]}"; do
        logits long -m "$tiny" --attention "$policy"
    done
    finish
    begin 'policies, 2 threads'
    alone=1
    for policy in "${policies[@]}"; do
        logits mixed -m "$tiny" --attention "$policy" -t 2
    done
    alone=
    finish
}

check_cache() {
    local level kv index policy
    for level in "${levels[@]}"; do
        begin "types of the cache, level $level"
        for kv in f32 f16 bf16 q8_0; do
            for index in f32 bf16 i8; do
                logits short -m "$tiny" --simd "$level" --attention clsa:24 \
                    --kv-type "$kv" --index-type "$index"
            done
            [ "$level" != ref ] || continue
            for policy in "${policies[@]}"; do
                logits short -m "$tiny" --simd "$level" --kv-type "$kv" \
                    --attention "$policy"
            done
        done
        finish
    done
}

# can PATH: whether the old program takes prompts this way here.
can() {
    (one old "$old" eval logits -q -m "$tiny" --ids "$folder/short" \
        -o logits --prefill "$1")
    [ "$(cat "$folder/old/status")" = 0 ]
}

check_prefill() {
    local path level model
    for path in own f32 bf16 int8 auto; do
        if ! can "$path"; then
            echo "skip  prompts by $path: not on this CPU, or not built in"
            continue
        fi
        begin "prompts by $path"
        for model in "$tiny" "$bf16" "$folder/old/q4_k.gguf" \
            "$folder/old/f32.gguf"; do
            logits long -m "$model" --prefill "$path" --attention clsa:24
        done
        for level in "${levels[@]:1}"; do
            logits mixed -m "$tiny" --prefill "$path" --simd "$level"
        done
        logits short -m "$tiny" --prefill "$path" --simd ref
        logits mixed -m "$tiny" --prefill "$path" --prefill-memory 0 \
            --attention blocks:96:16
        for model in "$here"/tests/data/good-*.gguf; do
            logits random -m "$model" --prefill "$path"
        done
        alone=1
        logits long -m "$tiny" --prefill "$path" -t 2 --attention token:48
        alone=
        finish
    done
}

# Models of other types of weights, made by both programs.
check_quantize() {
    local type
    begin 'models that are written'
    alone=1 # it has no --numa
    for type in f32 f16 bf16 q4_0 q4_k q6_k; do
        both quantize -q "$tiny" "$type.gguf" "$type"
        same "$type.gguf"
    done
    alone=
    finish
    bf16=$shared/models/clsa-tiny-bf16.gguf
    if [ ! -r "$bf16" ]; then
        echo "skip  $bf16 is not there (see CLSA_SHARED)"
        bf16=$folder/old/bf16.gguf
    fi
}

check_types() {
    local level model policy ids
    for level in "${levels[@]}"; do
        begin "types of weights, level $level"
        ids=mixed
        [ "$level" != ref ] || ids=short
        for model in "$bf16" "$folder"/old/{f32,f16,q4_0,q4_k,q6_k}.gguf; do
            for policy in clsa:24 token:48; do
                logits "$ids" -m "$model" --simd "$level" \
                    --attention "$policy"
            done
        done
        finish
    done
}

# The models of tests/data: retention, no indexer, other heads and ropes.
check_data() {
    local level model policy indexed
    for level in "${levels[@]}"; do
        begin "models of tests/data, level $level"
        for model in "$here"/tests/data/good-*.gguf; do
            indexed=$("$old" info -m "$model" |
                awk '$1 == "index_size" { print $2 }')
            for policy in "${policies[@]}"; do
                [[ $indexed != 0 || $policy != clsa* ]] || continue
                logits random -m "$model" --simd "$level" \
                    --attention "$policy"
            done
        done
        finish
    done
}

# Forks of one session for several policies, and truncation between.
check_forks() {
    local level all
    all=$(IFS=,; echo "${policies[*]}")
    begin 'losses and answers in forks'
    for level in "${levels[@]:1}"; do
        both eval loss -q --json -m "$tiny" --ids "$folder/positions" \
            --attention "$all" --simd "$level"
        same out
    done
    both eval loss -q --json -m "$bf16" --ids "$folder/positions" \
        --attention "$all" --kv-type q8_0 --prefill auto
    same out
    both eval perplexity -q --json -m "$tiny" --file "$folder/text" -c 512 \
        --attention "$all"
    same out
    both eval needles -v --json -m "$tiny" --file "$folder/needles" \
        --attention "$all"
    grep said "$folder/old/err" >"$folder/old/said" || true
    grep said "$folder/new/err" >"$folder/new/said" || true
    [ -s "$folder/old/said" ] || miss "no answers"
    same out said
    finish
}

# Blocks of one token (generation), of about 7 (lines), of 512 and more.
check_blocks() {
    local policy
    begin 'blocks of 1, 7 and 512 tokens'
    for policy in "${policies[@]}"; do
        rm -f "$folder"/{old,new}/lines
        input=$folder/lines
        run -i -n 1 --temp 0 -m "$tiny" --attention "$policy" --session lines
        same_session lines
        input=/dev/null
        run -f "$folder/text" -n 60 --temp 0 -m "$tiny" --attention "$policy"
    done
    run -f "$folder/text" -n 200 --seed 7 -m "$tiny"
    run -f "$folder/text" -n 200 --seed 8 -m "$bf16" --repeat-penalty 1.2
    alone=1
    run -f "$folder/text" -n 100 --seed 9 -m "$tiny" -t 2
    alone=
    finish
}

# Steps of several sequences: the bits are not shown, but how many rows of the
# selections changed from step to step.
check_batch() {
    local name
    begin 'rows of batches'
    both bench decode -q --json -m "$tiny" --fill "text:$story" --depth 1K \
        --batch 3,8 --attention clsa:24,token:48
    for name in old new; do
        grep -o '"rows_changed"[^,]*' "$folder/$name/out" \
            >"$folder/$name/changed" || true
    done
    [ -s "$folder/old/changed" ] || miss "no rows"
    same changed
    finish
}

# in_pieces OPTIONS...: a session that is read, saved, loaded and gone on with.
in_pieces() {
    rm -f "$folder"/{old,new}/pieces
    run --session pieces -f "$folder/text" -n 0 "$@"
    run --session pieces -p 'The boat' -n 24 --temp 0 "$@"
    run --session pieces -n 24 --temp 0 "$@"
    same_session pieces
    [[ "$*" != *h2o* ]] || return 0
    run --session pieces -p ' and' -n 40 --stop ' the' --stop e --temp 0 "$@"
    run --session pieces -p '.' -n 8 --temp 0 "$@"
    same_session pieces
}

check_sessions() {
    local policy kv name
    begin 'sessions in pieces'
    for policy in "${policies[@]}"; do
        in_pieces -m "$tiny" --attention "$policy"
    done
    for kv in f32 f16 q8_0; do
        in_pieces -m "$bf16" --kv-type "$kv" --index-type bf16
    done
    in_pieces -m "$tiny" --index-type f32 --prefill own
    for name in clsa gated-retention retention-indexer self-heads; do
        in_pieces -m "$here/tests/data/good-$name.gguf" -c 8K
    done
    finish
}

# old_in_new OPTIONS...: a session of the old program goes on in both.
old_in_new() {
    (one old "$old" run -q --session s -f "$folder/text" -n 16 --temp 0 "$@")
    cp "$folder/old/s" "$folder/new/s"
    both run -q --session s -n 32 --temp 0 "$@"
    if [ -n "$session_change" ] && [ "$(cat "$folder/new/status")" != 0 ] &&
        grep -q 'session file version' "$folder/new/err"; then
        by_design=$((by_design + 1))
    else
        same out
    fi
    rm -f "$folder"/{old,new}/s
}

check_old_sessions() {
    local policy kv name
    begin 'sessions of the old program in the new one'
    for policy in "${policies[@]}"; do
        old_in_new -m "$tiny" --attention "$policy"
    done
    for kv in f32 f16 q8_0; do
        old_in_new -m "$bf16" --kv-type "$kv" --index-type bf16
    done
    old_in_new -m "$tiny" --index-type f32
    for name in clsa gated-retention retention-indexer self-heads; do
        old_in_new -m "$here/tests/data/good-$name.gguf" -c 8K
    done
    finish
}

for name; do
    declare -F "check_$name" >/dev/null ||
        { echo "same-bits.sh: no group '$name'" >&2; exit 2; }
done
make_inputs
check_itself
check_quantize
for name; do
    "check_$name"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
