#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""shape_file.py: a BF16 model file of random weights of the shape `1b` of
clsa bench, 2 GB, for types.sh. In its other types by clsa quantize.

    python3 tests/shape_file.py FILE
"""
import os
import sys

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import gguf_file  # noqa: E402
from gguf_file import T_BF16, T_F32, Network, container, info, key  # noqa: E402

SHAPE = dict(d=2048, f=8192, layers=16, self_layers=8, h=32, g=8, e=64,
             window=512, index=64, top_k=2048, tied=False)
VOCAB = 32000


class Large(Network):
    """A Network whose values are made when they are written."""

    def __init__(self, name, vocab, **shape):
        plain = gguf_file.tokenizer
        gguf_file.tokenizer = lambda *words: filled(plain(*words), vocab)
        try:
            super().__init__(name, kinds=(T_BF16,), **shape)
        finally:
            gguf_file.tokenizer = plain

    def matrix(self, name, rows, cols, scale=None):
        self.tensors[name + '.weight'] = [T_BF16, (rows, cols)]

    def norm(self, name, n):
        self.tensors[name + '.weight'] = [T_F32, (n,)]

    def write(self, path):
        infos, at = [], 0
        for name, (kind, shape) in self.tensors.items():
            infos.append(info(name, shape[::-1], kind, at))
            at += int(np.prod(shape)) * (2 if kind == T_BF16 else 4)
        keys = [key(name, *value) for name, value in self.keys.items()]
        random = np.random.default_rng(1)
        with open(path, 'wb') as f:
            f.write(container(keys, infos))
            for kind, shape in self.tensors.values():
                f.write(values(random, kind, shape))


def filled(words, vocab):
    tokens = words['tokenizer.ggml.tokens'][1][1]
    kinds = words['tokenizer.ggml.token_type'][1][1]
    tokens += ['<|%d|>' % i for i in range(len(tokens), vocab)]
    kinds += [3] * (vocab - len(kinds))
    return words


def values(random, kind, shape):
    """Ones of a norm; rows of variance 1 / columns of a matrix."""
    if kind == T_F32:
        return np.ones(shape, '<f4').tobytes()
    x = random.random(shape, np.float32)
    x -= np.float32(0.5)
    x *= np.float32((12 / shape[1]) ** 0.5)
    return (x.view(np.uint32) >> 16).astype('<u2').tobytes()


Large('1b', VOCAB, **SHAPE).write(sys.argv[1])
