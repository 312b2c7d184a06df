#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_models.py: writes the corpus of small model files in tests/data.

    python3 tests/make_models.py [DIR]        (default: tests/data)

good-*.gguf are tiny networks with random weights, one for each variant of the
format; good-*.json holds what tests/reference/clsa_ref.py computes with them.
bad-*.gguf and unsupported-*.gguf have one thing wrong each; expected.txt says
which message they end in. README.md explains every file in a line.

gguf_file.py makes the bytes, odd_models.py and refused_models.py the files that
are odd or to be refused. The
generator of random numbers is seeded by the names, and is one whose output
numpy has frozen: the corpus is the same bytes every time.
"""
import json
import os
import sys
import tempfile
import zlib

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'reference'))
sys.path.insert(0, HERE)
import clsa_ref  # noqa: E402
from gguf_file import (F32, Network, T_BF16, T_F16, T_F32,  # noqa: E402
                       T_Q4_0, T_Q4_K, T_Q6_K, T_Q8_0, decode, encode)
from odd_models import odd_models  # noqa: E402
from refused_models import refused_models  # noqa: E402
import k_quants  # noqa: E402
import plain_model  # noqa: E402

# ---------------------------------------------------------------- good models

CLASSIC = dict(h=4, g=2, e=8, qk_norm=False, index=0, cross_rope=True,
               rope_freqs=True)

GOOD = {
    'good-clsa': ('every part of a CLSA model, BF16', dict()),
    'good-head-32': ('heads and index keys of 32 values, 1 + 2 layers, BF16',
                     dict(d=16, f=16, layers=3, self_layers=1, e=32,
                          index=32)),
    'good-f32': ('all tensors F32, a width that is not a multiple of 16',
                 dict(kinds=(T_F32,), d=20, f=12, h=2, g=1, layers=3)),
    'good-f16': ('all matrices F16', dict(kinds=(T_F16,), layers=3)),
    'good-q8_0': ('all matrices Q8_0', dict(kinds=(T_Q8_0,), d=32, f=32,
                                            e=16, index=16)),
    'good-q4_0': ('all matrices Q4_0, heads of 32 values',
                  dict(kinds=(T_Q4_0,), d=32, f=32, e=32, index=32)),
    'good-mixed-types': ('all five types in one model',
                         dict(kinds=(T_Q8_0, T_BF16, T_Q4_0, T_F16, T_F32),
                              d=32, f=32, layers=3)),
    'good-k-quants': ('matrices Q4_K and Q6_K in turns, packed by k_quants.py',
                      dict(kinds=(T_Q4_K, T_Q6_K), d=256, f=256, h=4, g=1,
                           e=64, index=16, layers=2, self_layers=1)),
    'good-few-bits': ('matrices of eight types in turns, random blocks',
                      dict(kinds=tuple(k_quants.HALVES), d=256, f=256, h=4,
                           g=1, e=64, index=16, layers=2, self_layers=1)),
    'good-no-qk-norm': ('no attn_q_norm, no attn_k_norm',
                        dict(qk_norm=False, layers=3)),
    'good-no-indexer': ('no indexer: every policy except clsa',
                        dict(index=0, layers=3)),
    'good-untied': ('output.weight apart from token_embd.weight',
                    dict(tied=False, layers=3, d=16, f=16)),
    'good-cross-rope': ('the cross-decoder rotates q and K',
                        dict(cross_rope=True, layers=3)),
    'good-rope-freqs': ('rope_freqs_self and rope_freqs_cross',
                        dict(cross_rope=True, rope_freqs=True)),
    'good-self-heads': ('heads of the self-decoder differ in number and size',
                        dict(self_heads=(6, 3, 16), d=16, f=16)),
    'good-embedding-scale': ('embeddings times sqrt(d)',
                             dict(layers=3,
                                  extra={'yoco.embedding_scale':
                                         (F32, 24 ** 0.5)})),
    'good-gated-retention': ('classic YOCO: retention layers, no indexer, no '
                             'norms of q and k, factors of both ropes',
                             dict(retention=True, d=16, f=16, **CLASSIC)),
    'good-retention-indexer': ('retention layers below an indexer, heads of '
                               'their own',
                               dict(retention=True, self_heads=(2, 2, 16),
                                    d=16, f=16)),
}


# Files that differ from others in the types of their tensors only.
TYPES = ('good-f32', 'good-f16', 'good-q8_0', 'good-q4_0', 'good-mixed-types',
         'good-k-quants', 'good-few-bits')


# Policies of all others; those with long texts of some. The policy anchors is
# for policies.py and golden-dense.
LAYERS = ('longformer:4:2', 'token:5', 'reuse:5:2', 'blocks:12:4', 'h2o:6')
LONG = ('bigbird:20:3:128', 'bigbird:7:70:64', 'blocks:64:8', 'h2o:33',
        'token:70', 'reuse:300:3')


def selection_margin(model, ids, k):
    """Distance of the k-th from the next index score, in deviations."""
    H = model.self_decoder(np.asarray(ids))
    _, _, Ik, Iq = model.shared(H)
    score = np.sort(Ik @ Iq[-1])[::-1]
    return (score[k - 1] - score[k]) / score.std()


def choose_ids(model, random, vocab, length):
    """Random ids whose selections no rounding of the index can change."""
    while True:
        ids = [int(i) for i in random.randint(0, vocab, length)]
        if model.k is None or all(
                selection_margin(model, ids, k) > 0.08
                for k in (3, model.k) if k < length):
            return ids


def expected_logits(path, name):
    model = clsa_ref.Model(path)
    random = np.random.RandomState(zlib.crc32(name.encode()) ^ 1)
    vocab = len(model.t['token_embd.weight'])
    lists = [choose_ids(model, random, vocab, n) for n in (1, 7, 40)]
    sparse = [] if model.k is None else ['clsa', 'clsa:3']
    best = sparse[0] if sparse else 'dense'
    plan = [(lists[0], best), (lists[1], best)]
    plan += [(lists[2], p) for p in ['dense'] + sparse]
    if name not in TYPES:
        plan += [(lists[0], 'dense'), (lists[2], 'window:5'),
                 (lists[2], 'sink:6')]
        plan += [(lists[2], p) for p in LAYERS]
    if name in ('good-clsa', 'good-no-indexer'):
        long = [int(i) for i in random.randint(0, vocab, 333)]
        plan += [(long, p) for p in LONG]
    cases = []
    for ids, policy in plan:
        logits, rows = model.logits(ids, policy=policy, want_rows=True)
        assert model.gap > 1e-4, (name, policy, model.gap)
        rows = [rows[0]] if isinstance(rows[0], np.ndarray) else rows[0]
        rows = [[int(r) for r in layer] for layer in rows]
        cases.append('{"ids": %s, "policy": "%s", "rows": %s, "logits": [%s]}'
                     % (json.dumps(ids), policy,
                        json.dumps(rows if len(rows) > 1 else rows[0]),
                        ','.join('%.6g' % z for z in logits[0])))
    return ('{"model": "%s.gguf", "cases": [\n' % name +
            ',\n'.join(cases) + '\n]}\n')


# ----------------------------------------------------------------- the corpus

README = """# Model files of the tests

Written by `tests/make_models.py`, the same bytes every time; do not edit.

## Good files

Tiny networks with random weights, one for each variant of clsa-gguf(5). The
JSON file beside each holds cases of the reference: `ids`, `policy`, the
cache `rows` that the last token reads (a list for each layer where they differ
by policy), and its `logits`. Selections have a margin, so that rounding the
index keys does not change them.

| file | what is in it |
|---|---|
%s
## Models of an architecture of the tests

`plain.gguf` (a cache for each layer) and `plain-mixed.gguf` (windows in even
layers, the last two read the cache of layer 3) are for `check_arch`, which has
the architecture `plain`; to the library it is unknown. The JSON file beside
each holds ids and the logits after some of them.

## Odd files

They open, but something has to be said about them, or they are parts of one
that opens.

| file | what is in it |
|---|---|
%s
## Files that must be refused

One thing is wrong with each. `expected.txt` is this table for programs: file,
status and a part of the message, with tabs between. Files with `tokenizer` in
their name are good except for their `tokenizer.ggml.*` keys.

| file | what is wrong | part of the message |
|---|---|---|
%s
## Machines

`machines/*.xml`: machines as hwloc records them, reduced to what a model asks
for, written by `tests/make_machines.py` for check_machines. The sizes are of
real kinds of machines.

| file | what is in it |
|---|---|
| desktop.xml | 8 cores with 2 threads each, one memory node |
| two-sockets.xml | 2 sockets of 8 cores, a node each |
| hybrid.xml | 6 fast cores with 2 threads, 8 efficient ones with one |
| bare-node.xml | 2 sockets, the node of the second has no memory |
| no-node.xml | 2 sockets, the second has no node |
| clusters.xml | 2 sockets with 2 nodes each (sub-NUMA clusters) |
| expander.xml | 2 sockets with a node each, and a node without cores (CXL) |
| far-first.xml | the same, and the node without cores has number 0 |
| gaps.xml | nodes 0 and 8, 4 threads per core |
| no-cores.xml | a virtual machine that shows CPUs, and no cores |
"""


def write(folder, name, raw):
    with open(os.path.join(folder, name), 'wb') as f:
        f.write(raw)


def as_floats(net):
    """What k_quants reads as the F32 that they stand for, for the reference."""
    for name, (kind, x) in net.tensors.items():
        if kind in k_quants.UNPACK:
            values = decode(kind, encode(kind, x))
            net.tensors[name] = [T_F32, values.reshape(x.shape)]
    return net.pack()


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'data')
    os.makedirs(folder, exist_ok=True)
    good, refused, messages = '', '', ''
    for name, (why, shape) in GOOD.items():
        write(folder, name + '.gguf', Network(name, **shape).pack())
        with tempfile.TemporaryDirectory() as floats:
            write(floats, 'model', as_floats(Network(name, **shape)))
            expected = expected_logits(os.path.join(floats, 'model'), name)
        write(folder, name + '.json', expected.encode())
        good += f'| {name}.gguf | {why} |\n'
    for name, raw in plain_model.files():
        write(folder, name, raw)
    odd = ''
    for name, (raw, why) in odd_models().items():
        write(folder, name, raw)
        odd += f'| {name} | {why} |\n'
    for name, (raw, status, text, why) in refused_models().items():
        write(folder, name + '.gguf', raw)
        refused += f'| {name}.gguf | {why} | `{text}` |\n'
        messages += f'{name}.gguf\t{status}\t{text}\n'
    write(folder, 'expected.txt', messages.encode())
    write(folder, 'README.md', (README % (good, odd, refused)).encode())


if __name__ == '__main__':
    main()
