# SPDX-License-Identifier: Apache-2.0
"""refused_models: the files of tests/data that no program may accept.

`refused_models()` -> {name: (bytes, status, part of the message, what is
wrong)}. Names that start with bad- are malformed, the others unsupported.
"""
import struct

from gguf_file import (ARR, BOOL, F32, F64, I32, MERGES, Network, STR, T_F32,
                       T_IQ2_XXS, T_Q4_0, T_Q8_0, U8, U32, U64, container, info,
                       key, string, tokenizer)

# ------------------------------------------------------------------ the format

NAME = key('general.name', STR, 'x')
FOUR = struct.pack('<4f', 1, 2, 3, 4) + b'\0' * 16


def one_tensor(*args, data=FOUR, keys=(NAME,), **more):
    return container(keys, [info(*args, **more)], data)


def broken_containers():
    """-> {file name: (bytes, part of the message, explanation)}"""
    huge, end = 1 << 40, 'runs past the end of the file'
    bad = {}

    def put(name, raw, text, why):
        bad[name] = (raw, text, why)

    put('bad-empty', b'', 'is empty', 'no bytes at all')
    put('bad-magic', container([NAME], magic=b'GGML'),
        'does not start with "GGUF"', 'another magic')
    put('bad-magic-short', b'GG', 'ends in its header',
        'ends in the magic')
    put('bad-header-short', container()[:20], 'ends in its header',
        'ends in the counts')
    for version in (1, 2, 4):
        put(f'unsupported-version-{version}',
            container([NAME], version=version),
            f'is GGUF version {version}, only version 3', 'another version')
    put('unsupported-big-endian',
        b'GGUF' + struct.pack('>IQQ', 3, 0, 0), 'big-endian',
        'version and counts are big-endian')
    put('bad-key-count', container([NAME], key_count=huge), end,
        'more keys than the file can hold')
    put('bad-tensor-count', container([NAME], tensor_count=huge), end,
        'more tensors than the file can hold')

    put('bad-key-name-empty', container([key('', U8, 1)]), 'name of 0 bytes',
        'a key without a name')
    put('bad-key-name-end',
        container([struct.pack('<Q', 1 << 63) + b'general.name']), end,
        'length of a key name of 2^63')
    put('bad-key-name-utf8', container([key(b'general.\xff', U8, 1)]),
        'name that is not valid UTF-8', 'a key name that is not UTF-8')
    put('bad-key-name-nul', container([key('general\0name', U8, 1)]),
        'name that is not valid UTF-8', 'a key name with a NUL')
    put('bad-key-twice', container([NAME, NAME]),
        "key 'general.name' is in the file twice", 'one key twice')
    put('bad-key-kind', container([string('k') + struct.pack('<IQ', 13, 0)]),
        "key 'k' has values of type 13", 'a value type that does not exist')
    put('bad-string-end',
        container([string('k') + struct.pack('<IQ', STR, huge) + b'abc']),
        "key 'k' " + end, 'a string past the end')
    put('bad-string-utf8', container([key('k', STR, b'\xc3(')]),
        'string that is not valid UTF-8', 'a value that is not UTF-8')
    put('bad-bool', container([key('k', BOOL, 2)]), 'boolean value of 2',
        'a boolean of 2')

    def array(element, count, raw=b''):
        return container([string('k') +
                          struct.pack('<IIQ', ARR, element, count) + raw])

    put('bad-array-end', array(U32, 1000, b'\0' * 8), "key 'k' " + end,
        'an array past the end')
    put('bad-array-overflow', array(U64, (1 << 61) + 1, b'\0' * 8),
        "key 'k' " + end, 'an array whose size overflows 64 bits')
    put('bad-array-strings', array(STR, 1 << 62, string('a')),
        "key 'k' " + end, 'an array of more strings than there are')
    put('bad-array-utf8', array(STR, 1, string(b'\xff')),
        'string that is not valid UTF-8', 'an element that is not UTF-8')
    put('bad-array-kind', array(13, 1, b'\0' * 8), 'has values of type 13',
        'elements of a type that does not exist')
    put('unsupported-array-nested',
        array(ARR, 1, struct.pack('<IQ', U8, 1) + b'\0'), 'array of arrays',
        'an array of arrays')

    for value, text in ((0, 'is 0, not 8 to'), (4, 'is 4, not 8 to'),
                        (24, 'is 24, not a power of two')):
        put(f'bad-alignment-{value}',
            container([key('general.alignment', U32, value)]),
            "key 'general.alignment' " + text, 'an alignment that is none')
    put('bad-alignment-kind',
        container([key('general.alignment', STR, '32')]),
        'is a string, not an integer', 'an alignment in words')

    put('bad-tensor-name-empty', one_tensor('', [4], T_F32, 0),
        'name of 0 bytes', 'a tensor without a name')
    put('bad-tensor-name-long', one_tensor('t' * 65, [4], T_F32, 0),
        'name of 65 bytes', 'a tensor name above 64 bytes')
    put('bad-tensor-name-utf8', one_tensor(b't\x80', [4], T_F32, 0),
        'name that is not valid UTF-8', 'a tensor name that is not UTF-8')
    put('bad-tensor-dims-0', one_tensor('t', [], T_F32, 0),
        "tensor 't' has 0 dimensions", 'no dimensions')
    put('bad-tensor-dims-5', one_tensor('t', [1] * 5, T_F32, 0),
        "tensor 't' has 5 dimensions", 'five dimensions')
    put('bad-tensor-dims-huge', one_tensor('t', [4], T_F32, 0,
                                           count=0xffffffff),
        'has 4294967295 dimensions', 'a count of dimensions of 2^32 - 1')
    put('bad-tensor-dim-0', one_tensor('t', [4, 0], T_F32, 0),
        "tensor 't' has a dimension of 0", 'a dimension of 0')
    put('bad-tensor-overflow', one_tensor('t', [1 << 33, 1 << 33], T_F32, 0),
        "tensor 't' " + end, 'a shape whose size overflows 64 bits')
    put('bad-tensor-bytes-overflow', one_tensor('t', [1 << 62], T_F32, 0),
        "tensor 't' " + end, 'a size in bytes of 2^64')
    put('bad-tensor-offset', one_tensor('t', [4], T_F32, 4),
        'not a multiple of the alignment 32', 'a misaligned offset')
    put('bad-tensor-offset-overflow',
        one_tensor('t', [4], T_F32, (1 << 64) - 32), "tensor 't' " + end,
        'an offset that overflows with the start of the data')
    put('bad-tensor-end', one_tensor('t', [9], T_F32, 0), "tensor 't' " + end,
        'one value more than the file has')
    put('bad-tensor-cut', one_tensor('t', [8], T_F32, 0)[:-1],
        "tensor 't' " + end, 'the last byte is not there')
    put('bad-tensor-overlap',
        container([NAME], [info('t', [16], T_F32, 0),
                           info('u', [8], T_F32, 32)], b'\0' * 64),
        "tensor 'u' overlaps the data of another tensor", 'two overlap')
    put('bad-tensor-twice',
        container([NAME], [info('t', [4], T_F32, 0),
                           info('t', [4], T_F32, 32)], FOUR * 2),
        "tensor 't' is in the file twice", 'one name twice')
    put('bad-block-row-q8_0', one_tensor('t', [48, 2], T_Q8_0, 0,
                                         data=b'\0' * 128),
        'has rows of 48 values', 'Q8_0 rows of one and a half blocks')
    put('bad-block-row-q4_0', one_tensor('t', [16], T_Q4_0, 0),
        'has rows of 16 values', 'Q4_0 rows of half a block')
    return bad


# --------------------------------------------------------------- the network


def tiny(name, **more):
    shape = dict(d=8, f=8, layers=2, self_layers=1, h=2, g=1, e=8,
                 small=True, alignment=8)
    shape.update(more)
    return Network(name, **shape)


A, R = 'yoco.attention.', 'yoco.rope.'
NAN, INF = float('nan'), float('inf')

# file name: (key, new value or None to leave it out, message, explanation)
KEYS = {
    'bad-architecture-missing': (
        'general.architecture', None,
        "key 'general.architecture' is missing", 'no architecture'),
    'unsupported-architecture': (
        'general.architecture', (STR, 'mamba'), "is 'mamba'",
        'another architecture'),
    'unsupported-self-decoder': (
        'yoco.self_decoder_type', (STR, 'mamba'), "is 'mamba'",
        'another kind of self-decoder'),
    'bad-layers-0': ('yoco.block_count', (U32, 0),
                     "key 'yoco.block_count' is 0", 'no layers'),
    'bad-layers-1': ('yoco.block_count', (U32, 1),
                     "key 'yoco.block_count' is 1", 'one layer'),
    'bad-layers-huge': ('yoco.block_count', (U32, 1 << 31),
                        "is 2147483648, not 1 to 1024", '2^31 layers'),
    'bad-layers-kind': ('yoco.block_count', (F32, 2.0),
                        "is a float, not an integer", 'a count as a float'),
    'bad-layers-array': ('yoco.block_count', (ARR, (U32, [2])),
                         "is an array with elements of an integer",
                         'a count as an array'),
    'bad-self-layers-0': ('yoco.self_decoder_block_count', (U32, 0),
                          "is 0, not 1 to 1", 'no self-decoder'),
    'bad-self-layers': ('yoco.self_decoder_block_count', (U32, 2),
                        "is 2, not 1 to 1", 'no cross-decoder'),
    'bad-width-missing': ('yoco.embedding_length', None,
                          "key 'yoco.embedding_length' is missing",
                          'no hidden size'),
    'bad-width-huge': ('yoco.embedding_length', (U64, 1 << 40),
                       "is 1099511627776, not 1 to", 'a hidden size of 2^40'),
    'bad-ffn-0': ('yoco.feed_forward_length', (U32, 0), "is 0, not 1 to",
                  'an FFN of nothing'),
    'bad-vocab-negative': ('yoco.vocab_size', (I32, -1), "is -1, not 1 to",
                           'a negative size'),
    'bad-context-0': ('yoco.context_length', (U32, 0), "is 0, not 1 to",
                      'a context of nothing'),
    'bad-heads': (A + 'head_count', (U32, 0), "is 0, not 1 to", 'no heads'),
    'bad-heads-divide': (A + 'head_count_kv', (U32, 3),
                         "is 2, not a multiple of head_count_kv, 3",
                         'query heads that do not divide'),
    'bad-heads-divide-self': (
        A + 'head_count_self', (U32, 5),
        "is 5, not a multiple of head_count_kv_self, 2",
        'query heads of the self-decoder that do not divide'),
    'bad-heads-huge': (A + 'head_count', (U32, 1 << 22),
                       "too many heads of size 8", 'heads of 2^25 values'),
    'unsupported-head-size': (A + 'key_length', (U32, 12),
                              "multiples of 8", 'a head size of 12'),
    'unsupported-value-length': (A + 'value_length', (U32, 16),
                                 "key 'yoco.attention.value_length' is 16",
                                 'values longer than keys'),
    'unsupported-shared-layers': (
        A + 'shared_kv_layers', (U32, 1),
        "key 'yoco.attention.shared_kv_layers' is 1",
        'some cross-decoder layer has its own cache'),
    'bad-eps-missing': (A + 'layer_norm_rms_epsilon', None, "is missing",
                        'no epsilon'),
    'bad-eps-nan': (A + 'layer_norm_rms_epsilon', (F32, NAN), "is nan, not",
                    'an epsilon that is not a number'),
    'bad-eps-inf': (A + 'layer_norm_rms_epsilon', (F32, INF), "is inf, not",
                    'an infinite epsilon'),
    'bad-eps-negative': (A + 'layer_norm_rms_epsilon', (F32, -1e-5),
                         "is -1e-05, not", 'a negative epsilon'),
    'bad-eps-0': (A + 'layer_norm_rms_epsilon', (F64, 0.0), "is 0, not",
                  'an epsilon of 0'),
    'bad-eps-kind': (A + 'layer_norm_rms_epsilon', (U32, 1),
                     "is an integer, not a float", 'an integer'),
    'bad-embedding-scale': ('yoco.embedding_scale', (F32, NAN),
                            "key 'yoco.embedding_scale' is nan",
                            'a scale that is not a number'),
    'bad-window-missing': (A + 'sliding_window', None, "is missing",
                           'no window'),
    'bad-window-0': (A + 'sliding_window', (U32, 0), "is 0, not 1 to",
                     'a window of nothing'),
    'bad-rope-base-missing': (R + 'freq_base_swa', None, "is missing",
                              'no rope base'),
    'bad-rope-base-nan': (R + 'freq_base_swa', (F32, NAN), "is nan, not",
                          'a base that is not a number'),
    'bad-rope-base-negative': (R + 'freq_base_swa', (F32, -10000.0),
                               "is -10000, not", 'a negative base'),
    'bad-rope-base-inf': (R + 'freq_base', (F32, INF), "is inf, not",
                          'an infinite base of the cross-decoder'),
    'unsupported-rope-size': (R + 'dimension_count', (U32, 4),
                              "key 'yoco.rope.dimension_count' is 4",
                              'half of a head is rotated'),
    'unsupported-rope-size-swa': (
        R + 'dimension_count_swa', (U32, 4),
        "key 'yoco.rope.dimension_count_swa' is 4",
        'half of a head is rotated'),
    'unsupported-rope-none-swa': (
        R + 'dimension_count_swa', (U32, 0),
        "key 'yoco.rope.dimension_count_swa' is 0",
        'no rope in the self-decoder'),
    'unsupported-indexer-heads': (
        A + 'indexer.head_count', (U32, 2),
        "key 'yoco.attention.indexer.head_count' is 2", 'two index heads'),
    'unsupported-indexer-size': (
        A + 'indexer.key_length', (U32, 12), "multiples of 8",
        'an index head size of 12'),
    'bad-indexer-size-missing': (
        A + 'indexer.key_length', None,
        "key 'yoco.attention.indexer.key_length' is missing",
        'an indexer without a size'),
    'bad-indexer-top-k-missing': (
        A + 'indexer.top_k', None,
        "key 'yoco.attention.indexer.top_k' is missing",
        'an indexer without k'),
    'bad-indexer-top-k-0': (A + 'indexer.top_k', (U32, 0), "is 0, not 1 to",
                            'an indexer that selects nothing'),
}

T = 'tokenizer.ggml.'
TOKENS = tokenizer(['h', 'e', 't', '\u0120'], MERGES[:2])
WORDS = TOKENS[T + 'tokens'][1][1]
TYPES = TOKENS[T + 'token_type'][1][1]

TOKENIZERS = {
    'bad-tokenizer-missing': (T + 'tokens', None,
                              "key 'tokenizer.ggml.tokens' is missing",
                              'no tokens'),
    'bad-tokenizer-count': (T + 'tokens', (ARR, (STR, WORDS + ['hh'])),
                            "tokenizer.ggml.tokens",
                            'a token more than the embedding has'),
    'bad-tokenizer-eot': (T + 'eot_token_id', (U32, 1000000),
                          "key 'tokenizer.ggml.eot_token_id' is 1000000",
                          'an end of a turn that is no token'),
    'bad-tokenizer-eog': (T + 'eog_token_ids', (ARR, (I32, [0, -1])),
                          "tokenizer.ggml.eog_token_ids[1] is -1",
                          'an end of a generation that is no token'),
    'bad-tokenizer-kind': (T + 'tokens', (ARR, (U32, [1] * len(WORDS))),
                           "not an array of strings", 'tokens as numbers'),
    'bad-tokenizer-twice': (
        T + 'tokens', (ARR, (STR, WORDS[:-1] + ['h'])),
        "tokenizer.ggml.tokens", 'one token twice'),
    'bad-tokenizer-type-missing': (T + 'token_type', None,
                                   "'tokenizer.ggml.token_type' is missing",
                                   'no token types'),
    'bad-tokenizer-type-count': (T + 'token_type', (ARR, (I32, TYPES[:-1])),
                                 "tokenizer.ggml.token_type",
                                 'a type less than tokens'),
    'bad-tokenizer-merges-missing': (T + 'merges', None,
                                     "key 'tokenizer.ggml.merges' is missing",
                                     'no merges'),
    'bad-tokenizer-merge-space': (T + 'merges', (ARR, (STR, ['he'])),
                                  "tokenizer.ggml.merges",
                                  'a merge that has just one part'),
    'bad-tokenizer-merge-part': (T + 'merges', (ARR, (STR, ['h x'])),
                                 "tokenizer.ggml.merges",
                                 'a merge of a token that does not exist'),
    'bad-tokenizer-merge-result': (T + 'merges', (ARR, (STR, ['e h'])),
                                   "tokenizer.ggml.merges",
                                   'a merge to a token that does not exist'),
    'bad-tokenizer-bos': (T + 'bos_token_id', (U32, len(WORDS)),
                          "tokenizer.ggml.bos_token_id",
                          'a bos token behind the last one'),
    'unsupported-tokenizer-model': (T + 'model', (STR, 'llama'),
                                    "tokenizer.ggml.model",
                                    'another kind of tokenizer'),
    'unsupported-tokenizer-pre': (T + 'pre', (STR, 'llama-bpe'),
                                  "tokenizer.ggml.pre",
                                  'another pre-tokenizer'),
}


def broken_keys():
    bad = {}
    for name, (where, value, text, why) in {**KEYS, **TOKENIZERS}.items():
        more = {}
        if name == 'bad-heads-divide-self':
            more = dict(h=4, g=2)
        net = tiny(name, **more)
        if value is None:
            del net.keys[where]
        else:
            net.keys[where] = value
        bad[name] = (net.pack(), text, why)
    return bad


def broken_tensors():
    bad = {}

    def put(name, net, text, why):
        bad[name] = (net.pack(), text, why)

    def edit(name, tensor, change, **more):
        net = tiny(name, **more)
        x = net.tensors[tensor]
        net.tensors[tensor] = change(x)
        return net

    def with_value(value):
        def change(x):
            x[1][3] = value
            return x
        return change

    norm, up = 'blk.1.ffn_norm.weight', 'blk.1.ffn_up.weight'
    name = 'bad-tensor-missing'
    net = tiny(name)
    del net.tensors[up]
    put(name, net, f"tensor '{up}' is missing", 'a matrix is not there')
    name = 'bad-norm-missing'
    net = tiny(name)
    del net.tensors['output_norm.weight']
    put(name, net, "tensor 'output_norm.weight' is missing",
        'a norm is not there')
    name = 'bad-tensor-shape'
    put(name, edit(name, up, lambda x: [x[0], x[1][:7]]),
        f"tensor '{up}' has the shape [7][8], but the keys require [8][8]",
        'a row is not there')
    name = 'bad-tensor-transposed'
    put(name, edit(name, 'blk.0.attn_q.weight', lambda x: [x[0], x[1].T]),
        "has the shape [8][16], but the keys require [16][8]",
        'a matrix the other way round')
    name = 'bad-tensor-3d'
    put(name, edit(name, up, lambda x: [x[0], x[1].reshape(2, 4, 8)]),
        "has the shape [2][4][8]", 'a matrix in three dimensions')
    name = 'bad-norm-shape'
    put(name, edit(name, norm, lambda x: [x[0], x[1][:7]]),
        f"tensor '{norm}' has the shape [7]", 'a norm that is too short')
    for kind, value in (('nan', NAN), ('inf', -INF)):
        name = f'bad-norm-{kind}'
        put(name, edit(name, norm, with_value(value)),
            f"tensor '{norm}' has a value that is not a finite number, at 3",
            'a norm with a value that is not finite')
    name = 'bad-norm-zero'
    put(name, edit(name, norm, lambda x: [x[0], 0 * x[1]]),
        f"tensor '{norm}' has only zeros",
        'a norm that was not downloaded')
    name = 'bad-rope-factor'
    put(name, edit(name, 'rope_freqs_self.weight', with_value(0.0),
                   cross_rope=True, rope_freqs=True),
        "tensor 'rope_freqs_self.weight' has a factor that is not above 0",
        'an angle divided by 0')
    name = 'unsupported-tensor-kind'
    put(name, edit(name, up, lambda x: [T_IQ2_XXS, x[1]]),
        f"tensor '{up}' has type 16", 'a matrix of type IQ2_XXS')
    name = 'unsupported-norm-kind'
    put(name, edit(name, norm, lambda x: [999, x[1]]),
        f"tensor '{norm}' has type 999", 'a norm of a type of the future')
    name = 'unsupported-tensor'
    net = tiny(name)
    net.norm('blk.0.attn_q.bias', 16)
    put(name, net, "tensor 'blk.0.attn_q.bias.weight' does not belong to",
        'a tensor that no YOCO model has')
    name = 'unsupported-tensor-control'
    net = tiny(name)
    net.norm('a\x1b[2J\nb\x9bc\x7f', 8)
    put(name, net, r"tensor 'a\x1b[2J\nb\u009bc\x7f.weight' does not",
        'a name that a terminal would obey')
    name = 'unsupported-tensor-layer'
    net = tiny(name)
    net.matrix('blk.2.attn_q', 16, 8)
    put(name, net, "tensor 'blk.2.attn_q.weight' does not belong to",
        'a tensor of a layer behind the last one')
    name = 'unsupported-tensor-cross-key'
    net = tiny(name, layers=3)
    net.matrix('blk.2.attn_k', 8, 8)
    put(name, net, "tensor 'blk.2.attn_k.weight' does not belong to",
        'a key projection in the second cross-decoder layer')
    name = 'unsupported-tensor-indexer'
    net = tiny(name)
    for k in [k for k in net.keys if 'indexer' in k]:
        del net.keys[k]
    put(name, net, "tensor 'blk.1.indexer.q_proj.weight' does not belong to",
        'tensors of an indexer without its keys')
    name = 'bad-indexer-missing'
    net = tiny(name)
    del net.tensors['blk.1.indexer.k_proj.weight']
    put(name, net, "tensor 'blk.1.indexer.k_proj.weight' is missing",
        'keys of an indexer without its tensors')
    name = 'unsupported-retention-heads'
    net = tiny(name, retention=True)
    net.keys[A + 'head_count_kv_self'] = (U32, 1)
    put(name, net, "key 'yoco.attention.head_count_kv_self' is 1",
        'retention with shared keys')
    name = 'bad-retention-gate'
    net = tiny(name, retention=True)
    del net.tensors['blk.0.attn_gate.weight']
    put(name, net, "tensor 'blk.0.attn_gate.weight' is missing",
        'retention without its gate')
    return bad


def refused_models():
    """All of them, with the status that the name stands for."""
    cases = {**broken_containers(), **broken_keys(), **broken_tensors()}
    return {name: (raw, 'malformed file' if name.startswith('bad-')
                   else 'unsupported', text, why)
            for name, (raw, text, why) in sorted(cases.items())}
