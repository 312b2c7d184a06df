# SPDX-License-Identifier: Apache-2.0
"""plain_model: models of the architecture of tests/arch_plain.c, and what they
compute, in float64: tests/data/plain.gguf and plain-mixed.gguf."""
import json
import zlib

import numpy as np

from gguf_file import (F32, STR, T_F32, U32, MERGES, byte_alphabet, container,
                       encode, info, key, tokenizer)

MODELS = {
    'plain': dict(layers=3),
    'plain-mixed': dict(layers=6, window=12, shared=2),
}
D, F, H, G, E, EPS, BASE = 32, 24, 4, 2, 16, 1e-5, 10000.0


class Plain:
    def __init__(self, name, layers, window=0, shared=0):
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.layers, self.window, self.own = layers, window, layers - shared
        words = tokenizer(byte_alphabet(), MERGES)
        self.vocab = len(words['tokenizer.ggml.tokens'][1][1])
        self.keys = {
            'general.architecture': (STR, 'plain'),
            'plain.block_count': (U32, layers),
            'plain.embedding_length': (U32, D),
            'plain.feed_forward_length': (U32, F),
            'plain.context_length': (U32, 16384),
            'plain.attention.head_count': (U32, H),
            'plain.attention.head_count_kv': (U32, G),
            'plain.attention.key_length': (U32, E),
            'plain.attention.layer_norm_rms_epsilon': (F32, EPS),
            'plain.rope.freq_base': (F32, BASE),
            **words,
        }
        if window:
            self.keys['plain.attention.sliding_window'] = (U32, window)
        if shared:
            self.keys['plain.attention.shared_kv_layers'] = (U32, shared)
        self.t = {}
        self.matrix('token_embd', self.vocab, D)
        self.norm('output_norm', D)
        for i in range(layers):
            self.layer('blk.%d.' % i, i < self.own)

    def matrix(self, name, rows, cols):
        x = self.random.uniform(-1, 1, (rows, cols)) * 2.4 / cols ** 0.5
        self.t[name] = x.astype(np.float32)

    def norm(self, name, n):
        x = 1 + 0.3 * self.random.uniform(-1, 1, n)
        self.t[name] = x.astype(np.float32)

    def layer(self, blk, own):
        self.norm(blk + 'attn_norm', D)
        self.matrix(blk + 'attn_q', H * E, D)
        self.norm(blk + 'attn_q_norm', E)
        if own:
            self.matrix(blk + 'attn_k', G * E, D)
            self.matrix(blk + 'attn_v', G * E, D)
            self.norm(blk + 'attn_k_norm', E)
        self.matrix(blk + 'attn_output', D, H * E)
        self.norm(blk + 'ffn_norm', D)
        self.matrix(blk + 'ffn_gate', F, D)
        self.matrix(blk + 'ffn_up', F, D)
        self.matrix(blk + 'ffn_down', D, F)

    def pack(self):
        infos, data = [], b''
        for name, x in self.t.items():
            infos.append(info(name + '.weight', x.shape[::-1], T_F32,
                              len(data)))
            data += encode(T_F32, x)
            data += b'\0' * (-len(data) % 32)
        return container([key(n, *v) for n, v in self.keys.items()], infos,
                         data)

    # ------------------------------------------------------------ computing

    def w(self, name):
        return self.t[name].astype(np.float64)

    def rms(self, x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * self.w(name)

    def heads(self, x, blk, role, n):
        """Normed and rotated heads [tokens][n][E]."""
        y = self.rms((x @ self.w(blk + 'attn_' + role).T).reshape(-1, n, E),
                     blk + 'attn_%s_norm' % role)
        angle = np.outer(np.arange(len(x)), BASE ** (-2 * np.arange(E // 2) / E))
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        a, b = y[..., :E // 2], y[..., E // 2:]
        return np.concatenate((a * cos - b * sin, b * cos + a * sin), -1)

    def attention(self, i, y, kv):
        blk, n = 'blk.%d.' % i, len(y)
        store = i if i < self.own else (self.own - 2) | 1
        if i < self.own:
            kv[i] = (self.heads(y, blk, 'k', G),
                     (y @ self.w(blk + 'attn_v').T).reshape(n, G, E))
        k, v = (np.repeat(x, H // G, 1) for x in kv[store])
        q = self.heads(y, blk, 'q', H)
        score = np.einsum('qhe,khe->hqk', q, k) / E ** 0.5
        back = np.arange(n)[:, None] - np.arange(n)
        sees = back >= 0
        if self.window and store % 2 == 0:
            sees &= back < self.window
        score = np.where(sees, score, -np.inf)
        p = np.exp(score - score.max(-1, keepdims=True))
        out = np.einsum('hqk,khe->qhe', p / p.sum(-1, keepdims=True), v)
        return out.reshape(n, H * E) @ self.w(blk + 'attn_output').T

    def logits(self, ids):
        x, kv = self.w('token_embd')[ids], {}
        for i in range(self.layers):
            blk = 'blk.%d.' % i
            x = x + self.attention(i, self.rms(x, blk + 'attn_norm'), kv)
            y = self.rms(x, blk + 'ffn_norm')
            gate = y @ self.w(blk + 'ffn_gate').T
            up = y @ self.w(blk + 'ffn_up').T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.w(
                blk + 'ffn_down').T
        return self.rms(x, 'output_norm') @ self.w('token_embd').T


def files():
    """(name, bytes) of the models and their cases."""
    for name, shape in MODELS.items():
        model = Plain(name, **shape)
        ids = [int(i) for i in model.random.randint(0, model.vocab, 60)]
        rows = model.logits(ids)
        text = ',\n'.join('[%s]' % ','.join('%.7g' % z for z in row)
                          for row in rows[[0, 6, 39, 59]])
        yield name + '.gguf', model.pack()
        yield name + '.json', (
            '{"ids": %s,\n"positions": [0, 6, 39, 59],\n"logits": [\n%s\n]}\n'
            % (json.dumps(ids), text)).encode()
