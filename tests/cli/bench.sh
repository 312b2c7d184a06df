# SPDX-License-Identifier: Apache-2.0
# The form of what bench prints: the numbers are those of the machine.
clsa bench
clsa bench nonsense
clsa bench machine x
clsa bench machine --simd none
CLSA_SIMD=none clsa bench machine
clsa bench machine -t 1 | tee machine.txt | sed -E 's/ +[0-9]+\.[0-9]$/ N/' |
    grep -E '^(simd|threads)|^  (memory|L1|f32|.* bytes)|[;,] G|GB' |
    sed -E 's/^(simd +).*/\1LEVEL/'
grep -cE '^  (s8|u4) ' machine.txt | sed 's/[1-9]/some/'
clsa bench machine -t 1 --json >machine.json
grep -oE '"[a-z0-9_]+":' machine.json | sort -u | tr -d '\n' && echo
grep -oE '"(gbs|gflops|gmacs)": (-|0(\.0)?[,}]).*' machine.json
clsa bench kernels x
clsa bench kernels --filter none
clsa bench kernels --filter rope -t 1 | tail -n +5 |
    sed -E 's/ +[0-9.]+/ N/g; s/(ref|avx|neon)[^ ]*/LEVEL/' | sort -u
clsa bench kernels --filter argmax -t 1 --simd ref --json >kernels.json
grep -oE '"[a-z0-9_]+":' kernels.json | tr -d '\n' && echo
clsa bench decode x
clsa bench decode --shape huge
clsa bench decode --shape tiny,d=
clsa bench decode --shape tiny -m model.gguf
clsa bench decode --shape tiny,h=3 --depth 1
clsa bench decode --shape tiny --depth 1K,,2
clsa bench decode --shape tiny --batch 65
clsa bench decode --shape tiny --steps 19
clsa bench decode --shape tiny --fill nothing
clsa bench decode --shape tiny --fill text:numbers.txt
clsa bench decode -m model.gguf --fill text:
clsa bench decode -m model.gguf --type f16
clsa bench decode -m model.gguf --depth 64 -c 10
for pair in tied=2 vocab=99999999999 d=x d=64,d=64 1b,tiny; do
    clsa bench decode --shape $pair --depth 1
done
clsa bench decode --shape d=16M,f=16M,vocab=16M --type f32 2>&1 |
    sed -E 's/[0-9.]+ GiB/N GiB/g'
clsa bench decode --shape tiny --depth 1G --kv-type f32 -q 2>&1 |
    sed -E 's/[0-9.]+ (.iB|of the)/N \1/g'
small=d=64,h=2,g=1,e=32,f=64,window=32,index=32,k=40,vocab=100
clsa bench decode --shape $small --depth 1K --batch 1,2 -q \
    --attention clsa,dense -t 1 | awk '{ print $1, $2, $3 }'
clsa bench decode --shape $small --depth 300 --type q4_0 -t 1 -q --json >d.json
grep -oE '"[a-z0-9_]+":' d.json | tr -d '\n' && echo
grep -oE '"(shape|type|attention|depth|batch|threads|kv_type|index_type|fill|steps)": [^,]*, ' d.json |
    tr -d '\n' && echo
grep -oE '"bytes": [^}]*' d.json | sed 's/"gather": [0-9]*/"gather": N/'
clsa bench decode --shape $small --depth 300 -t 1 -q --profile |
    awk 'NR > 2 { print $1, NF }'
clsa bench decode --shape $small --depth 300 --attention dense -t 1 -q \
    --profile --json | grep -oE '"profile_ms".*"barriers"' |
    grep -oE '"[a-z_]+"' | tr -d '\n' && echo
echo 'A text of a few words.' >few.txt
clsa bench decode -m model.gguf --fill text:few.txt --depth 64 -q
: >empty.txt
clsa bench decode -m model.gguf --fill text:empty.txt --depth 64 -q
seq 1000 >numbers.txt
clsa bench decode -m model.gguf --fill text:numbers.txt --depth 64,1K -q --batch 2 |
    awk '{ print $1, $2, $3 }'
clsa bench prefill x
clsa bench prefill --tokens 0
clsa bench prefill -m model.gguf --type f16
clsa bench prefill --shape $small --tokens 64 -c 10
clsa bench prefill --shape $small --tokens 8,100 -t 1 -q | awk '{ print $1, NF }'
clsa bench prefill --shape $small --tokens 64 -t 1 -q --prefill own --json >p.json
grep -oE '"[a-z0-9_]+":' p.json | tr -d '\n' && echo
grep -oE '"(shape|type|tokens|threads|path)": [^,]*, ' p.json | tr -d '\n' && echo
grep -oE '"(ms|gflops|gemm_peak_gflops|gemm_share)": (-|0(\.0)?[,}]).*' p.json
like=qwen3-0.6b,block_count=2,embedding_length=64,feed_forward_length=64,vocab=300
clsa bench decode --shape $like,softcap=1 --depth 1
clsa bench decode --shape $like,vocab --depth 1
clsa bench decode --shape $like --type q4_k_m --depth 64 -t 1 -q |
    awk '{ print $1, $2, $3 }'
clsa bench model
clsa bench model --shape tiny -o like.gguf
clsa bench model --shape $like --type q4_k_m -o like.gguf -t 1
clsa info -m like.gguf | grep -E '^(name|layers|vocab|check)'
clsa tokenize -m like.gguf 'aa bead'
