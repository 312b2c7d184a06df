# SPDX-License-Identifier: Apache-2.0
# SIGINT in the prompt and in the generation: a clean end, a whole session.
for i in {1..6000}; do
    echo "Day $i: the ferry left on time and the harbour was quiet again."
done >long
# Time to get into the prompt, or the generation; programs start slowly under
# an emulator.
pause=1
[ -z "${CLSA_EMULATOR:-}" ] || pause=5
# Shells without job control have SIGINT ignored for what runs beside them, and
# nohup has SIGHUP.
start=(env --default-signal=INT,HUP,TERM "$program")
interrupt() {
    "${start[@]}" run --temp 0 "$@" >/dev/null &
    sleep $pause
    kill -INT $!
    wait $!
    echo "exit status $?"
}
interrupt -f long --session s -t 1 2>&1 |
    sed -E 's/after [0-9]+ of [0-9]+/after N of M/'
clsa run --session s --temp 0 -p " The" -n 1 | wc -l
interrupt -p "The ferry" --session t -t 1 -c 128K 2>&1 |
    sed -E 's/after [0-9]+ gen/after N gen/'
clsa run --session t --temp 0 -n 1 -c 128K | wc -l
# Measurements end at once, too.
measure() {
    "${start[@]}" bench "$@" >/dev/null &
    sleep 1
    kill -INT $!
    wait $!
    echo "exit status $?"
}
measure machine -t 1
measure kernels -t 1
measure decode --shape 1b --type q4_k -t 1
# A terminal that goes away: as SIGTERM, and told twice no worse than once.
hang_up() {
    "${start[@]}" run --temp 0 -p "The ferry" --session "$1" -c 128K -t 1 >/dev/null &
    sleep $pause
    kill -HUP $!
    kill -HUP $! 2>/dev/null
    wait $!
    echo "exit status $?"
}
hang_up h 2>&1 | sed -E 's/after [0-9]+ gen/after N gen/'
ls h
# What was ignored at the start stays ignored, also while a text is waited for.
mkfifo text
(
    trap '' INT HUP TERM
    exec "$program" run --temp 0 -f text -n 3 -t 1 >out
) &
exec 3>text # until it is there
sleep 0.3
kill -INT $!
kill -HUP $!
kill -TERM $!
echo "The ferry" >&3
exec 3>&-
wait $!
echo "exit status $?"
