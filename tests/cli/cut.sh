# SPDX-License-Identifier: Apache-2.0
# Not under an emulator: it ends with a signal of its own.
# A model that is cut while it is in use.
cp --no-preserve=mode model.gguf cut.gguf
(
    "$program" run -m cut.gguf -t 1 -n 100000 --temp 0 -c 128K -p The \
        >/dev/null 2>err
    echo "exit status $?"
) &
sleep 1
: >cut.gguf
wait
sed -nE 's,^clsa: /.*/(cut.gguf: ),\1,p' err
