# SPDX-License-Identifier: Apache-2.0
# --memory-limit: what does not fit is refused in one line, before any work.
# Session files: of another model, and damaged.
clsa run -t 1 --memory-limit 1K -p x -n 1
clsa run -t 1 --memory-limit 12M -p x -n 1 2>&1 |
    sed -E 's/[0-9.]+( of|( MiB)? are)/some\1/'
clsa run -t 1 --memory-limit 40M -c 1M -p x -n 1 2>&1 |
    sed -E 's/[0-9.]+ of the/some of the/'
clsa run -t 1 --memory-limit 40M -p x -n 1 --temp 0 -q >out
wc -l <out
clsa info --plan -t 1 -c 128K --memory-limit 64M model.gguf 2>&1 |
    sed -E 's/[0-9.]+ of the/some of the/'
clsa bench decode -t 1 --memory-limit 2M --shape tiny --depth 16 --steps 20
clsa run --memory-limit 0 -p x
clsa run --memory-limit much -p x
cp model.gguf copy.gguf
chmod u+w copy.gguf
clsa run -q -p 'The town' -n 1 --temp 0 --session s >out
printf 'other' >>copy.gguf
clsa run -q -m copy.gguf -p 'x' -n 1 --session s
printf x | dd of=s bs=1 seek=200 conv=notrunc status=none
clsa run -q -p 'x' -n 1 --session s
