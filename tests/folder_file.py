# SPDX-License-Identifier: Apache-2.0
"""folder_file: files of model folders for the tests: tensors in safetensors,
and the tokenizer of gguf_file as tokenizer.json or as a tiktoken file."""
import base64
import json
import struct

import numpy as np

from gguf_file import MERGES, SPECIALS, byte_alphabet, tokenizer

QWEN2 = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
         " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
WORDS = tokenizer(byte_alphabet(), MERGES)['tokenizer.ggml.tokens'][1][1]


def bf16(x):
    u = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7fff + (u >> 16 & 1)) >> 16).astype('<u2')


def safetensors(tensors, dtype='F32', odd=False):
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, x in tensors.items():
        raw = (bf16(x) if dtype == 'BF16' else
               x.astype({'F16': '<f2', 'F32': '<f4'}[dtype])).tobytes()
        header[name] = {'dtype': dtype, 'shape': list(x.shape),
                        'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8 + odd)
    return struct.pack('<Q', len(text)) + text + data


def tokenizer_json():
    added = [{'id': i, 'content': s, 'special': True}
             for i, s in enumerate(SPECIALS)]
    return {
        'added_tokens': added, 'normalizer': None,
        'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [
            {'type': 'Split', 'pattern': {'Regex': QWEN2},
             'behavior': 'Isolated', 'invert': False},
            {'type': 'ByteLevel', 'add_prefix_space': False,
             'use_regex': False}]},
        'model': {'type': 'BPE', 'vocab': {t: i for i, t in enumerate(WORDS)},
                  'merges': MERGES}}


def tiktoken():
    """The same without its special tokens."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = plain + [b for b in range(256) if b not in plain]
    byte_of = dict(zip(byte_alphabet(), order))
    return ''.join('%s %d\n' % (base64.b64encode(bytes(
        byte_of[c] for c in t)).decode(), i)
        for i, t in enumerate(WORDS[len(SPECIALS):]))
