# SPDX-License-Identifier: Apache-2.0
# Generation: greedy recall, ends, stop texts, limits of the context.
fact="The secret code of Maria of Lisbon is 48213. The boats came home late."
ask="

Question: What is the secret code of Maria of Lisbon?
Answer: The secret code of Maria of Lisbon is"
run() {
    clsa run --temp 0 "$@"
}
run -p "$fact$ask" -n 6
run -p "$fact$ask" --stop .
run -p "$fact$ask" --stop 13. --stop never --stop 3.x
run -p "$fact$ask" --stop . --json --seed 7
printf '%s' "$fact$ask" >prompt
run -f prompt --stop .
run - --stop . <prompt
run -p "$fact$ask" --stop . --kv-type Q8_0 --index-type BF16 -t 2
run -p "$fact$ask" --stop . --attention dense
run -p "$fact$ask" -n 0
run -p "$fact$ask" -n 0 --json --seed 7
echo "one token is no more than the context:"
run -p "$fact$ask" -c 60 --json --seed 7 | grep -o '"end": "context"'
run -p "$fact$ask" -c 10
run -p ''
run -f missing
run -p x --chat
# The same seed gives the same text, on any number of threads.
clsa run -p "The old captain" -n 20 --seed 5 -t 1 >first
clsa run -p "The old captain" -n 20 --seed 5 -t 2 | cmp - first && echo same
# Nor do more threads than CPUs hang.
timeout 120 "$program" run -p "The old captain" -n 20 --seed 5 -t 64 |
    cmp - first && echo same
# Nor do threads that OpenMP binds to one place.
first_cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\([0-9]*\).*/\1/p' /proc/self/status)
for bound in OMP_PROC_BIND=primary GOMP_CPU_AFFINITY="$first_cpu"; do
    env "$bound" timeout 120 "$program" run -p "The old captain" -n 20 \
        --seed 5 -t 4 | cmp - first && echo same
done
# A full disk and a closed pipe.
run -p "$fact$ask" --stop . >/dev/full
"$program" run -p "$fact" --temp 0 -n 2000 | head -c 1 >/dev/null
echo "exit status ${PIPESTATUS[0]}"
