#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# facts-disagree.sh: that facts.test notices. In a copy of the sources it makes
# disagreements, each where a change could forget a place; facts.test has to fail
# with a message for each that names it, and to pass before. Run by make
# check-long; builds nothing.
#
# Environment: srcdir (default .).
set -euo pipefail

top=$(realpath "${srcdir:-.}")
folder=$(mktemp -d)
trap 'rm -rf "$folder" "$folder".*' EXIT
failed=0 count=0

# The folders of the sources without models, test data and builds.
tar -C "$top" -cf - --exclude='*.gguf' --exclude=tests/data \
    --exclude=tests/fuzz/corpus --exclude=autom4te.cache --exclude=.git \
    --exclude='build*' --exclude='*.deb' bootstrap configure.ac Makefile.am \
    README.md HACKING.md NEWS .ci bench completions docs include man models \
    packaging simd src tests | tar -C "$folder" -xf -
# Parts of the sources whose names begin with build.
cp "$top"/packaging/build-*.sh "$folder/packaging/"
mkdir -p "$folder/tests/data" "$folder/tests/fuzz/corpus/gguf"
: >"$folder/models/clsa-tiny-q8_0.gguf"

facts() {
    srcdir=$folder bash "$folder/tests/facts.test" >"$folder.log" 2>&1
}

# disagree FILE SED MESSAGE: the edit, and a part of what facts.test has to say.
messages=()
disagree() {
    local file=$folder/$1
    count=$((count + 1))
    cp "$file" "$folder.old"
    sed -E -i "$2" "$file"
    if cmp -s "$file" "$folder.old"; then
        echo "FAILED: '$2' changes nothing in $1"
        failed=1
    fi
    messages+=("$1: $2" "$3")
}

facts || { echo "FAILED: facts.test on the copy:"; cat "$folder.log"; exit 1; }

# a policy
disagree README.md 's/`reuse:K:M`, //' "policies (<) and README.md (>) differ"
disagree NEWS 's/longformer:N:G, //' "policies (<) and NEWS (>) differ"
disagree man/clsa.7 's/^\.It Cm h2o : Ns Ar K/.It Cm h2o : Ns Ar N/' \
    "policies (<) and clsa.7 (>) differ"
disagree src/policy/policy.h 's/clsa_policy_dense, //' "policy.h (>) differ"
disagree tests/policies.py 's/bigbird/bigbrid/' \
    "tests/policies.py: does not name bigbird"
# a member of a public struct, a constant
disagree include/clsa_serving.h 's/^    uint64_t seed; .*/&\n    float typical;/' \
    "< clsa_sampler_options typical"
disagree man/clsa_bench.3 's/^\.It Va rows_read , rows_changed/.It Va rows_read/' \
    "< clsa_session_stats rows_changed"
disagree include/clsa.h 's/^    CLSA_TYPE_BF16 = 30/&,\n    CLSA_TYPE_IQ1_S = 19/' \
    "< CLSA_TYPE_IQ1_S"
# a limit
disagree src/base/team.h 's/(CLSA_MAX_THREADS) 1024/\1 4096/' \
    "threads of a model, at most"
disagree man/clsa-gguf.5 's/at most 512\./at most 65536./' "size of a head, at most"
disagree include/clsa_bench.h 's/cross_layers; .*1\.\.512/cross_layers; \/**< C, 1..1024/' \
    "layers of a decoder of a random model, at most"
disagree src/engine/step.h 's/^#define CLSA_BATCH_MAX .*/&\n#define CLSA_NEW_LIMIT 7/' \
    "CLSA_NEW_LIMIT: tests/facts.list does not have this limit"
# a default
disagree src/engine/sampler.c 's/\.top_k = 40/.top_k = 50/' "top-k, default"
disagree src/cli/run_options.c 's/default: 0\.95/default: 0.9/' "top-p, default"
disagree src/engine/session.c 's/(\.kv_type = CLSA_TYPE_)BF16/\1F16/' \
    "type of the cached keys and values, default"
disagree man/clsa-eval.1 's/default 2K,8K/default 2K,4K/' "--contexts"
# an option, a choice
disagree src/cli/options.c 's/"f32\|f16\|bf16\|q8_0"/"f32|f16|bf16|q8_0|q4_0"/' \
    "--kv-type does not say that it may be q4_0"
disagree src/cli/completion.c 's/tiny\|1b\|3b/tiny|1b/' \
    "shapes of shape.c (<) and of completions (>) differ"
# a kernel's test and bench case, a layer's include, a file header
disagree bench/case_sets.c 's/struct clsa_simd, gather/struct clsa_simd, score/' \
    "gather: no case in bench"
disagree tests/kernels/check_sampling.c 's/clsa_simd, argmax/clsa_simd, softmax/' \
    "argmax: no test in tests/kernels"
disagree src/model/gguf.c '0,/^#include "/s//#include "src\/engine\/step.h"\n&/' \
    "src/model/gguf.c: includes src/engine/step.h"
disagree src/engine/window.c '2,3d' "src/engine/window.c: does not say"
disagree tests/check_window.c 1d "tests/check_window.c: does not begin"
# keys and tensors of a model file, a level, a version, a name in a document
disagree src/arch/yoco.c 's/"embedding_scale"/"embedding_factor"/' \
    "< yoco.embedding_factor"
disagree man/clsa-gguf.5 '/^\.It blk\.S\.kv_norm/d' "< kv_norm"
disagree README.md 's/`neon_i8mm`, //' "levels of dispatch.c (<) and of README.md"
disagree packaging/rpm/clsa.spec 's/^(Version: +)0\.1\.0/\1 0.2.0/' \
    "version of configure.ac"
disagree HACKING.md 's,src/engine/forward\.c,src/engine/backward.c,' \
    "HACKING.md: there is no src/engine/backward.c"
disagree man/clsa.1 's/ , KMP_AFFINITY//' "< KMP_AFFINITY"

if facts; then
    echo "FAILED: facts.test passes"
    failed=1
fi
for ((i = 0; i < ${#messages[@]}; i += 2)); do
    if grep -qF -e "${messages[i + 1]}" "$folder.log"; then
        echo "noticed: ${messages[i]}"
    else
        echo "FAILED: ${messages[i]}: no line has '${messages[i + 1]}'"
        failed=1
    fi
done
[ $failed = 0 ] || cat "$folder.log"
echo "$count disagreements"
exit $failed
