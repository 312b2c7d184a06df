# SPDX-License-Identifier: Apache-2.0
"""gguf_file: bytes of GGUF files for the tests, right ones and wrong ones.

`container`, `key` and `info` write whatever they are told; Network makes the
keys and tensors of a small YOCO model with random weights.
"""
import struct
import zlib

import numpy as np

import k_quants

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
T_F32, T_F16, T_Q4_0, T_Q8_0, T_BF16 = 0, 1, 2, 8, 30
T_Q4_K, T_Q6_K, T_IQ2_XXS = 12, 14, 16
FORMATS = {U8: 'B', I8: 'b', U16: 'H', I16: 'h', U32: 'I', I32: 'i',
           F32: 'f', BOOL: 'B', U64: 'Q', I64: 'q', F64: 'd'}

# ------------------------------------------------------------ bytes of a file


def string(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack('<Q', len(raw)) + raw


def scalar(kind, value):
    if kind == STR:
        return string(value)
    return struct.pack('<' + FORMATS[kind], value)


def key(name, kind, value):
    """One metadata key; arrays are (element kind, list)."""
    head = string(name) + struct.pack('<I', kind)
    if kind != ARR:
        return head + scalar(kind, value)
    element, values = value
    return (head + struct.pack('<IQ', element, len(values)) +
            b''.join(scalar(element, v) for v in values))


def info(name, dims, kind, offset, count=None):
    """One tensor info; dims fastest first."""
    count = len(dims) if count is None else count
    return (string(name) + struct.pack('<I', count) +
            b''.join(struct.pack('<Q', d) for d in dims) +
            struct.pack('<IQ', kind, offset))


def container(keys=(), infos=(), data=b'', version=3, magic=b'GGUF',
              key_count=None, tensor_count=None, alignment=32):
    head = magic + struct.pack(
        '<IQQ', version,
        len(infos) if tensor_count is None else tensor_count,
        len(keys) if key_count is None else key_count)
    head += b''.join(keys) + b''.join(infos)
    return head + b'\0' * (-len(head) % alignment) + data


def encode(kind, x):
    """Values of a tensor in a storage type; x is [rows][cols] or [n]."""
    x = np.asarray(x, np.float32)
    if kind == T_F32:
        return x.astype('<f4').tobytes()
    if kind == T_F16:
        return x.astype('<f2').tobytes()
    if kind == T_BF16:
        u = x.view(np.uint32).astype(np.uint64)
        return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype('<u2').tobytes()
    if kind == T_Q4_K:
        return k_quants.pack_q4_k(x)
    if kind == T_Q6_K:
        return k_quants.pack_q6_k(x)
    if kind in k_quants.HALVES:
        return k_quants.any_blocks(kind, x)
    if kind not in (T_Q8_0, T_Q4_0):  # to be refused
        return b'\0' * 4 * x.size
    blocks = x.reshape(-1, 32)
    if kind == T_Q8_0:
        d = np.abs(blocks).max(1) / 127
        q = np.rint(blocks / np.where(d > 0, d, 1)[:, None]).astype(np.int8)
        q = q.view(np.uint8)
    else:
        peak = np.take_along_axis(
            blocks, np.abs(blocks).argmax(1)[:, None], 1)[:, 0]
        d = peak / -8
        q = np.floor(blocks / np.where(d != 0, d, 1)[:, None] + 8.5)
        q = np.clip(q, 0, 15).astype(np.uint8)
        q = q[:, :16] | q[:, 16:] << 4
    scales = d.astype('<f2')[:, None].view(np.uint8)
    return np.concatenate((scales, q), 1).tobytes()


def decode(kind, raw):
    """Values of a tensor of a type that the reference does not read."""
    return k_quants.UNPACK[kind](raw)


# ---------------------------------------------------------------- a tokenizer


def byte_alphabet():
    """The 256 characters of GPT-2 that stand for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return ([chr(b) for b in plain] +
            [chr(256 + i) for i in range(len(others))])


SPECIALS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|pad|>']
MERGES = ['\u0120 t', 'h e', '\u0120t he', 'i n', 'e r', 'o n', '\u0120 a',
          'in g']


def tokenizer(alphabet, merges):
    tokens = SPECIALS + alphabet + [m.replace(' ', '') for m in merges]
    kinds = [3] * len(SPECIALS) + [1] * (len(tokens) - len(SPECIALS))
    return {
        'tokenizer.ggml.model': (STR, 'gpt2'),
        'tokenizer.ggml.pre': (STR, 'qwen2'),
        'tokenizer.ggml.tokens': (ARR, (STR, tokens)),
        'tokenizer.ggml.token_type': (ARR, (I32, kinds)),
        'tokenizer.ggml.merges': (ARR, (STR, merges)),
        'tokenizer.ggml.bos_token_id': (U32, 0),
        'tokenizer.ggml.eos_token_id': (U32, 0),
        'tokenizer.ggml.add_bos_token': (BOOL, 0),
    }


# ------------------------------------------------------------------ a network


class Network:
    """Keys and tensors of a model: {name: (kind, value)} and
    {name: [kind, array]}, both to be edited before `pack`."""

    def __init__(self, name, d=24, f=16, layers=4, self_layers=2, h=4, g=2,
                 e=8, window=8, index=8, top_k=6, kinds=(T_BF16,), tied=True,
                 qk_norm=True, retention=False, self_heads=None, small=False,
                 cross_rope=False, rope_freqs=False, alignment=32,
                 extra=()):
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.kinds, self.tensors, self.alignment = kinds, {}, alignment
        self.d, self.f, self.retention, self.qk = d, f, retention, qk_norm
        words = (tokenizer(['h', 'e', 't', '\u0120'], MERGES[:2]) if small
                 else tokenizer(byte_alphabet(), MERGES))
        vocab = len(words['tokenizer.ggml.tokens'][1][1])
        hs, gs, es = self_heads or (h, h if retention else g, e)
        self.keys = {
            'general.architecture': (STR, 'yoco'),
            'general.name': (STR, name),
            'general.alignment': (U32, alignment),
            'yoco.context_length': (U32, 4096),
            'yoco.block_count': (U32, layers),
            'yoco.self_decoder_block_count': (U32, self_layers),
            'yoco.embedding_length': (U32, d),
            'yoco.feed_forward_length': (U32, f),
            'yoco.vocab_size': (U32, vocab),
            'yoco.attention.head_count': (U32, h),
            'yoco.attention.head_count_kv': (U32, g),
            'yoco.attention.key_length': (U32, e),
            'yoco.attention.value_length': (U32, e),
            'yoco.attention.layer_norm_rms_epsilon': (F32, 1e-5),
            'yoco.attention.shared_kv_layers': (U32, layers - self_layers - 1),
            'yoco.rope.freq_base_swa': (F32, 10000.0),
            'yoco.rope.dimension_count_swa': (U32, es),
            'yoco.rope.dimension_count': (U32, e if cross_rope else 0),
        }
        if cross_rope:
            self.keys['yoco.rope.freq_base'] = (F32, 5000.0)
        if retention:
            self.keys['yoco.self_decoder_type'] = (STR, 'gated_retention')
        else:
            self.keys['yoco.attention.sliding_window'] = (U32, window)
        if self_heads:
            self.keys['yoco.attention.head_count_self'] = (U32, hs)
            self.keys['yoco.attention.head_count_kv_self'] = (U32, gs)
            self.keys['yoco.attention.key_length_self'] = (U32, es)
        if index:
            self.keys['yoco.attention.indexer.head_count'] = (U32, 1)
            self.keys['yoco.attention.indexer.key_length'] = (U32, index)
            self.keys['yoco.attention.indexer.top_k'] = (U32, top_k)
        self.keys.update(extra)
        self.keys.update(words)

        self.matrix('token_embd', vocab, d, 1.0)
        for i in range(self_layers):
            self.self_layer(f'blk.{i}.', hs, gs, es)
        for i in range(self_layers, layers):
            self.common(f'blk.{i}.', h, e)
            if qk_norm:
                self.norm(f'blk.{i}.attn_q_norm', e)
        shared = f'blk.{self_layers}.'
        self.norm(shared + 'kv_norm', d)
        self.matrix(shared + 'attn_k', g * e, d)
        self.matrix(shared + 'attn_v', g * e, d)
        if qk_norm:
            self.norm(shared + 'attn_k_norm', e)
        if index:
            self.matrix(shared + 'indexer.q_proj', index, d)
            self.matrix(shared + 'indexer.k_proj', index, d)
        self.norm('output_norm', d)
        if not tied:
            self.matrix('output', vocab, d, 0.7)
        if rope_freqs:
            self.freqs('rope_freqs_self', es)
            self.freqs('rope_freqs_cross', e)

    def values(self, *shape):
        return self.random.uniform(-1, 1, shape)

    def matrix(self, name, rows, cols, scale=None):
        scale = 1.4 / np.sqrt(cols) if scale is None else scale
        kind = self.kinds[len(self.tensors) % len(self.kinds)]
        x = self.values(rows, cols) * np.sqrt(3) * scale
        self.tensors[name + '.weight'] = [kind, x]

    def norm(self, name, n):
        self.tensors[name + '.weight'] = [T_F32, 1 + 0.3 * self.values(n)]

    def freqs(self, name, e):
        """Factors for the exponents i/(e/2-1) of classic YOCO."""
        i = np.arange(e // 2)
        x = 10000.0 ** (i / (e / 2 - 1) - 2 * i / e)
        self.tensors[name + '.weight'] = [T_F32, x]

    def common(self, blk, h, e):
        self.norm(blk + 'attn_norm', self.d)
        self.matrix(blk + 'attn_q', h * e, self.d)
        self.matrix(blk + 'attn_output', self.d, h * e)
        self.norm(blk + 'ffn_norm', self.d)
        self.matrix(blk + 'ffn_gate', self.f, self.d)
        self.matrix(blk + 'ffn_up', self.f, self.d)
        self.matrix(blk + 'ffn_down', self.d, self.f)

    def self_layer(self, blk, h, g, e):
        self.common(blk, h, e)
        self.matrix(blk + 'attn_k', g * e, self.d)
        self.matrix(blk + 'attn_v', g * e, self.d)
        if self.retention:
            self.matrix(blk + 'attn_gate', h * e, self.d)
            self.matrix(blk + 'attn_decay', h, self.d)
        elif self.qk:
            self.norm(blk + 'attn_q_norm', e)
            self.norm(blk + 'attn_k_norm', e)

    def pack(self):
        infos, data = [], b''
        for name, (kind, x) in self.tensors.items():
            infos.append(info(name, x.shape[::-1], kind, len(data)))
            data += encode(kind, x)
            data += b'\0' * (-len(data) % self.alignment)
        keys = [key(name, *value) for name, value in self.keys.items()]
        return container(keys, infos, data, alignment=self.alignment)
