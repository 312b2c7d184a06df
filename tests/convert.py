#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""convert.py: folders of random weights in the formats that clsa convert
takes, and what has to come of them. Run by convert.test.

    python3 tests/convert.py CLSA FOLDER [NAME]

With NAME only FOLDER/NAME is made, in the format of clsa.

A folder's network is computed by tests/reference/clsa_ref.py from the tensors
as they are in the folder, with the rotary embedding of its origin (pairs
instead of halves, other exponents), and again from the GGUF file that clsa
convert made of it: the logits have to agree. Then clsa runs the file. The
writers of safetensors, of k-quants and of GGUF here know nothing of the C
code.
"""
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'reference'))
sys.path.insert(0, HERE)
import clsa_ref  # noqa: E402
import folder_cases  # noqa: E402
import k_quants  # noqa: E402
import ordinary_cases  # noqa: E402
from folder_file import (  # noqa: E402
    bf16, safetensors, tiktoken, tokenizer_json)
from gguf_file import MERGES, SPECIALS  # noqa: E402

CLSA, TOP = os.path.abspath(sys.argv[1]), sys.argv[2]
VOCAB = len(SPECIALS) + 256 + len(MERGES)
failures = passed = 0


def expect(what, good, detail=''):
    global failures, passed
    if good:
        passed += 1
    else:
        failures += 1
        print(f'FAIL {what}: {detail}')


def clsa(*arguments):
    run = subprocess.run([CLSA, *arguments], capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


# ------------------------------------------------------------------- folders


def rounded(x, dtype):
    if dtype == 'BF16':
        return (bf16(x).astype(np.uint32) << 16).view(np.float32)
    return x.astype({'F16': '<f2', 'F32': '<f4'}[dtype]).astype(np.float32)


def write(folder, name, data):
    os.makedirs(os.path.join(TOP, folder), exist_ok=True)
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    mode = 'w' if isinstance(data, str) else 'wb'
    with open(os.path.join(TOP, folder, name), mode) as f:
        f.write(data)


class Weights(dict):
    def __init__(self, name):
        self.random = np.random.RandomState(zlib.crc32(name.encode()))

    def matrix(self, name, rows, cols, scale=None):
        x = self.random.uniform(-1, 1, (rows, cols))
        self[name + '.weight'] = (x * (scale or (3 / cols) ** 0.5)).astype('f4')

    def norm(self, name, n):
        self[name + '.weight'] = self.random.uniform(.5, 1.5, n).astype('f4')


# ----------------------------------------------------------------- reference


def rope_pairs(endpoint):
    """As clsa_ref.rope, but of pairs (2i, 2i+1), and with the exponents
    0..1 in even steps, both ends included, where told so."""
    def rope(x, pos, base, factors=1.0):
        half = x.shape[-1] // 2
        steps = (np.linspace(0, 1, half) if endpoint
                 else np.arange(half) / half)
        angle = pos[:, None] * base ** -steps
        c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
        a, b = x[..., 0::2], x[..., 1::2]
        return np.stack((a * c - b * s, b * c + a * s), -1).reshape(x.shape)
    return rope


class Theirs(clsa_ref.Model):
    """The reference over tensors that are named as here, but not changed."""

    def __init__(self, tensors, ropes, **sizes):
        self.t = {k: v.astype(np.float64) for k, v in tensors.items()}
        self.ropes, self.factors = ropes, (1.0, 1.0)
        self.__dict__.update(sizes)

    def logits(self, *a, **k):
        plain = clsa_ref.rope
        try:
            return super().logits(*a, **k)
        finally:
            clsa_ref.rope = plain

    def self_decoder(self, ids):
        clsa_ref.rope = self.ropes[0]
        return super().self_decoder(ids)

    def shared(self, H):
        clsa_ref.rope = self.ropes[1]
        return super().shared(H)


def near(a, b, bound):
    return np.abs(a - b).max() <= bound * np.abs(b).max()


IDS = [int(i) for i in np.random.RandomState(7).randint(0, VOCAB, 40)]


def compare(what, folder, reference, policy='dense', arguments=()):
    path = os.path.join(TOP, folder + '.gguf')
    code, out, err = clsa('convert', os.path.join(TOP, folder), '-o', path,
                          *arguments)
    expect(what + ' converts', code == 0, err)
    if code != 0:
        return
    theirs = reference.logits(IDS, policy=policy)[0]
    ours = clsa_ref.Model(path).logits(IDS, policy=policy)[0]
    # factors of angles are float32
    expect(what + ' is the same network', near(ours, theirs, 1e-4),
           np.abs(ours - theirs).max())
    write(folder, 'ids.json', [IDS])
    code, out, err = clsa(
        'eval', 'logits', '-m', path, '--ids',
        os.path.join(TOP, folder, 'ids.json'), '-o', path + '.f32',
        '--attention', policy, '--kv-type', 'f32', '--index-type', 'f32')
    expect(what + ' runs', code == 0, err)
    if code == 0:
        got = np.fromfile(path + '.f32', '<f4').astype(np.float64)
        expect(what + ' gives its logits', near(got, theirs, 1e-3),
               np.abs(got - theirs).max())


# ------------------------------------------------------- checkpoint formats


def renamed(weights, pairs):
    return {ours: weights[theirs] for theirs, ours in pairs
            if theirs in weights}


def add_layer(w, names, theirs, ours, parts):
    """Weights of a layer, and their names there and here."""
    for their, our, shape in parts:
        if len(shape) == 1:
            w.norm(f'{theirs}.{their}', *shape)
        else:
            w.matrix(f'{theirs}.{their}', *shape)
        names.append((f'{theirs}.{their}.weight', f'{ours}.{our}.weight'))


def unilm(folder, retention, dtype):
    w = Weights(folder)
    d, f, S, hs, h, g = 32, 24, 2, 2, 4, 2
    es, e = d // hs, d // h
    names = [('embed_tokens.weight', 'token_embd.weight'),
             ('layer_norm.weight', 'output_norm.weight'),
             ('output_projection.weight', 'output.weight')]
    w.matrix('embed_tokens', VOCAB, d, 0.2)
    w.matrix('output_projection', VOCAB, d)
    w.norm('layer_norm', d)

    common = [('mixer_layer_norm', 'attn_norm', (d,)),
              ('mixer.q_proj', 'attn_q', (d, d)),
              ('mixer.out_proj', 'attn_output', (d, d)),
              ('final_layer_norm', 'ffn_norm', (d,)),
              ('ffn.fc1', 'ffn_gate', (f, d)), ('ffn.gate', 'ffn_up', (f, d)),
              ('ffn.fc2', 'ffn_down', (d, f))]
    own = [('mixer.k_proj', 'attn_k', (d, d)),
           ('mixer.v_proj', 'attn_v', (d, d))]
    if retention:
        own += [('mixer.g_proj', 'attn_gate', (d, d)),
                ('mixer.gt_proj', 'attn_decay', (hs, d))]
    for i in range(S):
        add_layer(w, names, f'self_decoder.layers.{i}', f'blk.{i}',
                  common + own)
        add_layer(w, names, f'cross_decoder.layers.{i}', f'blk.{S + i}',
                  common)
    add_layer(w, names, 'cross_decoder', f'blk.{S}',
              [('kv_layer_norm', 'kv_norm', (d,)),
               ('k_proj', 'attn_k', (g * e, d)),
               ('v_proj', 'attn_v', (g * e, d))])
    params = dict(dim=d, n_layers=2 * S, hidden_dim=f, n_self_heads=hs,
                  n_attn_heads=h, n_attn_kv_heads=g, vocab_size=VOCAB,
                  max_seq_len=512, rope_theta=5000.0, norm_eps=1e-5)
    if not retention:
        params['sliding_window'] = 8
    write(folder, 'params.json', params)
    write(folder, 'model.safetensors', safetensors(w, dtype))
    write(folder, 'tokenizer.json', tokenizer_json())
    rope = rope_pairs(True)
    w = {k: rounded(v, dtype) for k, v in w.items()}
    compare(folder, folder, Theirs(
        renamed(w, names), (rope, rope), L=2 * S, S=S, h=h, g=g, e=e, W=8,
        eps=1e-5, base=5000.0, k=None, scale=d ** 0.5, cross_base=5000.0,
        kind='gated_retention' if retention else 'swa', hs=hs, gs=hs, es=es))


def fla(folder, kind, exponents):
    w = Weights(folder)
    d, f, S, L, hs, h, g = 32, 24, 2, 5, 2, 4, 2
    gs = hs if kind == 'gated_retention' else 1
    es, e = d // hs, d // h
    names = [('model.embeddings.weight', 'token_embd.weight'),
             ('model.norm.weight', 'output_norm.weight'),
             ('lm_head.weight', 'output.weight')]
    w.matrix('model.embeddings', VOCAB, d, 0.2)
    w.matrix('lm_head', VOCAB, d)
    w.norm('model.norm', d)

    common = [('attn_norm', 'attn_norm', (d,)),
              ('attn.q_proj', 'attn_q', (d, d)),
              ('attn.o_proj', 'attn_output', (d, d)),
              ('mlp_norm', 'ffn_norm', (d,)),
              ('mlp.gate_proj', 'ffn_gate', (f, d)),
              ('mlp.up_proj', 'ffn_up', (f, d)),
              ('mlp.down_proj', 'ffn_down', (d, f))]
    own = [('attn.k_proj', 'attn_k', (gs * es, d)),
           ('attn.v_proj', 'attn_v', (gs * es, d))]
    if kind == 'gated_retention':
        own += [('attn.g_proj', 'attn_gate', (d, d)),
                ('attn.gk_proj', 'attn_decay', (hs, d))]
    for i in range(S):
        add_layer(w, names, f'model.self_layers.{i}', f'blk.{i}', common + own)
    for i in range(L - S):
        add_layer(w, names, f'model.cross_layers.{i}', f'blk.{S + i}',
                  common + [('attn.q_norm', 'attn_q_norm', (e,))])
    add_layer(w, names, 'model.shared_kv_builder', f'blk.{S}',
              [('kv_norm', 'kv_norm', (d,)), ('k_proj', 'attn_k', (g * e, d)),
               ('v_proj', 'attn_v', (g * e, d))])
    write(folder, 'config.json', dict(
        model_type='yoco', hidden_size=d, num_hidden_layers=L,
        num_self_decoder_layers=S, norm_eps=1e-5, vocab_size=VOCAB,
        max_position_embeddings=512, bos_token_id=0, eos_token_id=[0, 2],
        self_decoder_attn=dict(type=kind, num_heads=hs, num_v_heads=gs,
                               window_size=8, rope_theta=3000.0,
                               rope_inv_freq=exponents),
        cross_decoder_attn=dict(num_heads=h, num_kv_heads=g, qk_norm=True,
                                rope_theta=7000.0, rope_inv_freq=exponents)))
    parts = list(w.items())
    half = len(parts) // 2
    shards = {'a.safetensors': dict(parts[:half]),
              'b.safetensors': dict(parts[half:])}
    for name, tensors in shards.items():
        write(folder, name, safetensors(tensors, odd=True))
    write(folder, 'model.safetensors.index.json', {'weight_map': {
        t: name for name, tensors in shards.items() for t in tensors}})
    write(folder, 'tokenizer.json', tokenizer_json())
    pairs = rope_pairs(exponents == 'yoco')
    compare(folder, folder, Theirs(
        renamed(w, names), (clsa_ref.rope if kind == 'swa' else pairs, pairs),
        L=L, S=S, h=h, g=g, e=e, W=8, eps=1e-5, base=3000.0, k=None,
        scale=d ** 0.5, cross_base=7000.0, kind=kind, hs=hs, gs=gs, es=es))


def own_config(d, L, S, h, g, e):
    return dict(
        model_type='yoco', hidden_size=d, num_hidden_layers=L,
        num_self_decoder_layers=S, rms_norm_eps=1e-5, vocab_size=VOCAB,
        num_attention_heads=h, num_key_value_heads=g, head_dim=e,
        sliding_window=8, index_head_dim=8, index_topk=6, rope_theta=1e4,
        max_position_embeddings=512, bos_token_id=0, eos_token_id=0)


def own_tensors(w, d, f, S, L, h, g, e, index):
    """Adds the weights; pairs of their names and ours."""
    names = [('model.embed_tokens.weight', 'token_embd.weight'),
             ('model.norm.weight', 'output_norm.weight')]
    w.matrix('model.embed_tokens', VOCAB, d)
    w.norm('model.norm', d)
    for i in range(L):
        parts = [('input_layernorm', 'attn_norm', (d,)),
                 ('self_attn.q_proj', 'attn_q', (h * e, d)),
                 ('self_attn.o_proj', 'attn_output', (d, h * e)),
                 ('self_attn.q_norm', 'attn_q_norm', (e,)),
                 ('post_attention_layernorm', 'ffn_norm', (d,)),
                 ('mlp.gate_proj', 'ffn_gate', (f, d)),
                 ('mlp.up_proj', 'ffn_up', (f, d)),
                 ('mlp.down_proj', 'ffn_down', (d, f))]
        if i < S:
            parts += [('self_attn.k_proj', 'attn_k', (g * e, d)),
                      ('self_attn.v_proj', 'attn_v', (g * e, d)),
                      ('self_attn.k_norm', 'attn_k_norm', (e,))]
        for their, our, shape in parts:
            name = f'model.layers.{i}.{their}'
            (w.norm if len(shape) == 1 else w.matrix)(name, *shape)
            names.append((name + '.weight', f'blk.{i}.{our}.weight'))
    shared = [('shared_kv.norm', 'kv_norm', (d,)),
              ('shared_kv.k_proj', 'attn_k', (g * e, d)),
              ('shared_kv.v_proj', 'attn_v', (g * e, d)),
              ('shared_kv.k_norm', 'attn_k_norm', (e,))]
    if index:
        shared += [('indexer.q_proj', 'indexer.q_proj', (8, d)),
                   ('indexer.k_proj', 'indexer.k_proj', (8, d))]
    for their, our, shape in shared:
        name = f'model.{their}'
        (w.norm if len(shape) == 1 else w.matrix)(name, *shape)
        names.append((name + '.weight', f'blk.{S}.{our}.weight'))
    return names


def own(folder, index):
    w = Weights('own')
    d, f, S, L, h, g, e = 32, 24, 1, 3, 4, 2, 8
    names = own_tensors(w, d, f, S, L, h, g, e, index)
    write(folder, 'config.json', own_config(d, L, S, h, g, e))
    write(folder, 'model.safetensors', safetensors(w, 'F16'))
    write(folder, 'tokenizer.json', tokenizer_json())
    compare(folder, folder, Theirs(
        renamed({k: rounded(v, 'F16') for k, v in w.items()}, names),
        (clsa_ref.rope, clsa_ref.rope), L=L, S=S, h=h, g=g, e=e, W=8, eps=1e-5,
        base=1e4, k=6 if index else None, scale=1.0, cross_base=None,
        kind='swa', hs=h, gs=g, es=e), 'clsa' if index else 'dense')
    return w


# ------------------------------------------------------------------- memory


PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: None)
status, usage = os.wait4(process.pid, 0)[1:]
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(status != 0)
"""


def peak(layers):
    """Most memory of a conversion, in KiB; tensors of 4 MiB."""
    name = f'large-{layers}'
    w = Weights(name)
    own_tensors(w, d=256, f=4096, S=1, L=layers, h=2, g=1, e=8, index=False)
    write(name, 'config.json', own_config(256, layers, 1, 2, 1, 8))
    write(name, 'model.safetensors', safetensors(w))
    write(name, 'tokenizer.json', tokenizer_json())
    # by a process that is small itself, as its memory counts, too
    run = subprocess.run(
        [sys.executable, '-c', PEAK, CLSA, 'convert', '-q', '-t', '1',
         os.path.join(TOP, name), '-o', os.path.join(TOP, name + '.gguf'),
         '--type', 'q8_0'], capture_output=True, text=True)
    expect(name + ' converts', run.returncode == 0, run.stderr)
    return int(run.stderr or 0)


def streams():
    """Three times as many tensors take no more memory: one is there at a
    time."""
    two, six = peak(2), peak(6)
    print(f'peak of 2 layers {two} KiB, of 6 layers {six} KiB')
    expect('tensors are streamed', six < two + 4096, (two, six))


# ------------------------------------------------------------- wrong folders


def refused(what, folder, *parts):
    path = os.path.join(TOP, 'refused.gguf')
    code, out, err = clsa('convert', os.path.join(TOP, folder), '-o', path)
    lines = err.strip().split('\n')
    expect(what + ' is refused', code == 1, (code, err))
    expect(what + ' in a clear line', all(p in err for p in parts),
           err + ' without ' + repr(parts))
    expect(what + ' leaves nothing behind', not [
        n for n in os.listdir(TOP) if n.startswith('refused.gguf')])
    expect(what + ' ends in a line of clsa', lines[-1].startswith('clsa: '),
           err)


def wrong_folders(good):
    def copy(name, change):
        for part in ('config.json', 'tokenizer.json'):
            with open(os.path.join(TOP, 'own', part)) as f:
                write(name, part, f.read())
        write(name, 'model.safetensors', safetensors(good, 'F16'))
        change(name)

    def edit(name, part, change):
        path = os.path.join(TOP, name, part)
        with open(path) as f:
            data = json.load(f)
        change(data)
        write(name, part, data)

    def tensors(change):
        def run(name):
            weights = dict(good)
            change(weights)
            write(name, 'model.safetensors', safetensors(weights, 'F16'))
        return run

    def raw(data):
        return lambda name: write(name, 'model.safetensors', data)

    def config(change):
        return lambda name: edit(name, 'config.json', change)

    def words(change):
        return lambda name: edit(name, 'tokenizer.json', change)

    def swap(name):
        os.remove(os.path.join(TOP, name, 'model.safetensors'))
        write(name, 'pytorch_model.bin', b'\x80\x02')

    def header(text, size=None):
        text = text.encode()
        return raw(struct.pack('<Q', len(text) if size is None else size) +
                   text + b'\0' * 64)

    def entry(**parts):
        fields = dict(dtype='F32', shape=[2], data_offsets=[0, 8])
        fields.update(parts)
        return header(json.dumps({'t': fields}))

    def two(weights):
        del weights['model.norm.weight']
        del weights['model.layers.2.mlp.up_proj.weight']
        weights['model.layers.7.mlp.up_proj.weight'] = np.zeros((2, 2), 'f4')

    def infinite(weights):
        weights['model.norm.weight'] = np.full(32, np.inf, 'f4')

    cases = [
        ('no-config', lambda n: os.remove(os.path.join(TOP, n, 'config.json')),
         ['config.json: cannot open']),
        ('config-json', lambda n: write(n, 'config.json', '{"a": '),
         ['config.json: line 1']),
        ('config-list', lambda n: write(n, 'config.json', '[]'),
         ['is not an object']),
        ('config-deep', lambda n: write(n, 'config.json', '[' * 100000),
         ['config.json: line 1']),
        ('config-twice', lambda n: write(n, 'config.json', '{"a":1,"a":2}'),
         ['config.json: line 1']),
        ('config-other', config(lambda c: c.update(model_type='gpt2')),
         ["'model_type' is 'gpt2'", 'only llama, mistral, qwen2']),
        ('config-size', config(lambda c: c.update(hidden_size=-1)),
         ["key 'hidden_size' is -1"]),
        ('config-kind', config(lambda c: c.update(hidden_size='x')),
         ["key 'hidden_size' is not an integer"]),
        ('config-layers', config(lambda c: c.update(num_hidden_layers=2000)),
         ['num_self_decoder_layers']),
        ('config-heads', config(lambda c: c.update(index_n_heads=2)),
         ['index_n_heads']),
        ('config-act', config(lambda c: c.update(hidden_act='gelu')),
         ['hidden_act']),
        ('deltanet', config(lambda c: c.update(self_decoder_attn={})),
         ['gated_deltanet']),
        ('bias', config(lambda c: c.update(
            self_decoder_attn=dict(type='swa', qkv_bias=True))), ['qkv_bias']),
        ('pickle', swap, ['torch pickle', 'safetensors.torch.save_file']),
        ('empty', raw(b''), ['model.safetensors']),
        ('short', raw(b'1234'), ['too short for a safetensors header']),
        ('header-size', header('{}', 1 << 62), ['does not fit']),
        ('header-json', header('{"a"'), ['model.safetensors: line 1']),
        ('header-list', header('[]'), ['is not an object']),
        ('entry-text', header('{"t": 1}'), ["'t': it has no dtype"]),
        ('entry-shape', entry(shape=7), ["'t': it has no shape"]),
        ('entry-zero', entry(shape=[0]), ["'t': a size is not above 0"]),
        ('entry-minus', entry(shape=[-2]), ["'t': a size is not above 0"]),
        ('entry-huge', entry(shape=[1 << 62, 1 << 62]), ['too large']),
        ('entry-behind', entry(data_offsets=[0, 1 << 40]), ['past the end']),
        ('entry-back', entry(data_offsets=[8, 0]), ['past the end']),
        ('entry-fit', entry(shape=[3]), ['do not match its shape']),
        ('two-lists', tensors(two),
         ['missing: model.norm.weight', 'unknown: model.layers.7.mlp',
          'missing: model.layers.2.mlp.up_proj.weight',
          '2 tensors of the format', '1 are unknown']),
        ('not-finite', tensors(infinite),
         ["'output_norm.weight' has a value that is not a finite"]),
        ('shape', tensors(lambda w: w.update(
            {'model.norm.weight': np.ones(31, 'f4')})), ['has the shape [31]']),
        ('words-kind', words(lambda t: t['model'].update(type='Unigram')),
         ["'Unigram' is not supported"]),
        ('words-pattern', words(lambda t: t['pre_tokenizer'].update(
            type='Metaspace')), ["'Metaspace' is not supported"]),
        ('words-id', words(lambda t: t['model']['vocab'].update(zz=VOCAB)),
         ["'zz' has no id below"]),
        ('words-merge', words(lambda t: t['model'].update(merges=[1])),
         ['model.merges[0] is not two tokens']),
        ('sentencepiece', lambda n: os.rename(
            os.path.join(TOP, n, 'tokenizer.json'),
            os.path.join(TOP, n, 'tokenizer.model')), ['SentencePiece']),
    ]
    for name, change, parts in cases:
        copy('wrong-' + name, change)
        refused(name, 'wrong-' + name, *parts)
    write('wrong-index', 'config.json', '{}')
    copy('wrong-index', lambda n: os.remove(
        os.path.join(TOP, n, 'model.safetensors')))
    write('wrong-index', 'model.safetensors.index.json',
          {'weight_map': {'t': '../own/model.safetensors'}})
    refused('a shard elsewhere', 'wrong-index', 'is not in a file of this folder')


# ------------------------------------------------------- tokenizer, k-quants


def same_tokens(good):
    """A tiktoken file of the same vocabulary cuts texts in the same way."""
    with open(os.path.join(TOP, 'own', 'config.json')) as f:
        write('tiktoken', 'config.json', f.read())
    write('tiktoken', 'model.safetensors', safetensors(good, 'F16'))
    write('tiktoken', 'tokenizer.tiktoken', tiktoken())
    path = os.path.join(TOP, 'tiktoken.gguf')
    code, out, err = clsa('convert', os.path.join(TOP, 'tiktoken'), '-o', path)
    expect('tiktoken converts', code == 0, err)
    text = 'the thing in the other one, on a hinge'
    cut = [clsa('tokenize', '-q', '--json', '-m',
                os.path.join(TOP, name), text) for name in
           ('own.gguf', 'tiktoken.gguf')]
    ids = [json.loads(out) if code == 0 else None for code, out, err in cut]

    def flat(x):
        return x[0]['ids'] if isinstance(x[0], dict) else x
    expect('tiktoken cuts as tokenizer.json does', ids[0] is not None and
           ids[1] is not None and [i - len(SPECIALS) for i in flat(ids[0])] ==
           flat(ids[1]), (ids, cut))


def same_blocks(packed=os.path.join(HERE, 'data', 'good-k-quants.gguf')):
    """What this script reads of blocks is what clsa reads, to the bit; returns
    how many tensors there were."""
    path = os.path.join(TOP, 'unpacked.gguf')
    code, out, err = clsa('quantize', '-q', packed, path, 'f32')
    expect('blocks to floats', code == 0, err)
    if code != 0:
        return 0
    floats = clsa_ref.load_gguf(path)[1]
    count = 0
    for name, kind, raw in k_quant_tensors(packed):
        got = floats[name].astype(np.float32).reshape(-1)
        expect(name + ' is decoded to the same values',
               k_quants.UNPACK[kind](raw).tobytes() == got.tobytes(), packed)
        count += 1
    return count


def same_floats():
    """So it is with the other types, which the reference reads."""
    path = os.path.join(TOP, 'plain.gguf')
    for kind in ('f16', 'q8_0', 'q4_0', 'mixed-types'):
        source = os.path.join(HERE, 'data', 'good-' + kind + '.gguf')
        code, out, err = clsa('quantize', '-q', source, path, 'f32')
        expect(kind + ' to floats', code == 0, err)
        theirs = clsa_ref.load_gguf(source)[1]
        ours = clsa_ref.load_gguf(path)[1]
        expect(kind + ' is decoded to the same values', theirs.keys() ==
               ours.keys() and all(np.array_equal(theirs[name], ours[name])
                                   for name in theirs))


def k_quant_tensors(path):
    """(name, type, bytes) of the tensors of a GGUF that k_quants reads."""
    with open(path, 'rb') as f:
        b = f.read()
    found, p = [], 24
    tensors, keys = struct.unpack_from('<QQ', b, 8)

    def text():
        nonlocal p
        n = struct.unpack_from('<Q', b, p)[0]
        p += 8 + n
        return b[p - n:p].decode()

    def skip(kind):
        nonlocal p
        if kind == 8:
            text()
        elif kind == 9:
            element, n = struct.unpack_from('<IQ', b, p)
            p += 12
            for _ in range(n):
                skip(element)
        else:
            p += [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8][kind]
    for _ in range(keys):
        text()
        p += 4
        skip(struct.unpack_from('<I', b, p - 4)[0])
    for _ in range(tensors):
        name = text()
        dims = struct.unpack_from('<I', b, p)[0]
        shape = struct.unpack_from('<%dQ' % dims, b, p + 4)
        kind, offset = struct.unpack_from('<IQ', b, p + 4 + 8 * dims)
        p += 16 + 8 * dims
        found.append((name, kind, int(np.prod(shape)), offset))
    p += -p % 32
    for name, kind, n, offset in found:
        if kind in k_quants.SIZES:
            values, size = k_quants.SIZES[kind]
            size *= n // values
            yield name, kind, b[p + offset:p + offset + size]


# Names of types that are those of mixes, too.
MIXES = ('q2_k', 'iq4_nl', 'iq4_xs')

# Most that the root mean square error of a type may be, in parts of the root
# mean square value, for normally distributed weights.
MOST_ERROR = {'f16': 0.0003, 'q8_0': 0.006, 'q6_k': 0.02, 'q5_1': 0.035,
              'q5_k': 0.04, 'q5_0': 0.05, 'q4_1': 0.08, 'q4_k': 0.08,
              'iq4_nl': 0.09, 'iq4_xs': 0.09, 'q4_0': 0.1, 'q3_k': 0.17,
              'q2_k': 0.35}


def quantized():
    """Errors of the types are bounded and in order; what is written is read by
    numpy as by clsa; exceptions and fall-backs are kept."""
    source = os.path.join(TOP, 'floats.gguf')
    code, out, err = clsa('quantize', '-q', os.path.join(
        HERE, 'data', 'good-k-quants.gguf'), source, 'f32')
    expect('floats', code == 0, err)
    errors = {}
    for kind in MOST_ERROR:
        path = os.path.join(TOP, kind + '.gguf')
        keep = ('--keep', '*=' + kind) if kind in MIXES else ()
        one = clsa('quantize', '-q', '-t', '1', '--json', source, path, kind,
                   *keep)
        with open(path, 'rb') as f:
            first = f.read()
        many = clsa('quantize', '-q', '-t', '3', '--json', source, path, kind,
                    *keep)
        with open(path, 'rb') as f:
            expect(kind + ' is the same from any number of threads',
                   f.read() == first and one == many, one[2] + many[2])
        report = json.loads(many[1])[0]['tensors']
        errors[kind] = max(t['error'] for t in report
                           if 'ffn_up' in t['name'])
        expect(kind + ' has small errors', errors[kind] < MOST_ERROR[kind],
               errors[kind])
        expect(kind + ' keeps norms', all(
            t['type'] == 'f32' for t in report if 'norm' in t['name']))
        if not keep:
            index = {t['type'] for t in report if 'indexer' in t['name']}
            expect(kind + ' keeps the indexer', index == {
                kind if kind in ('f16', 'q8_0') else 'q8_0'}, index)
        if kind not in ('f16', 'q8_0', 'q4_0'):
            expect(kind + ' is read', same_blocks(path) > 0)
    order = ['f16', 'q8_0', 'q6_k', 'q5_k', 'q4_k', 'q4_0', 'q3_k', 'q2_k']
    expect('errors are in order', sorted(order, key=errors.get) == order,
           errors)
    code, out, err = clsa('quantize', os.path.join(TOP, 'own.gguf'),
                          os.path.join(TOP, 'kept.gguf'), 'q4_k', '--json',
                          '--keep', '*.ffn_down.weight=f16')
    report = {t['name']: t for t in json.loads(out)[0]['tensors']}
    expect('rows of 32 fall back', code == 0 and
           report['blk.0.attn_q.weight']['type'] == 'q5_0' and
           'blk.0.attn_q.weight: rows of 32 values' in err, err)
    expect('exceptions are kept',
           report['blk.1.ffn_down.weight']['type'] == 'f16')
    code, out, err = clsa('quantize', source, source + '.x', 'q4_k', '--keep',
                          'nonsense')
    expect('a wrong exception is a wrong use', code == 2 and
           'PATTERN=TYPE' in err, err)


if len(sys.argv) > 3:
    own(sys.argv[3], True)
    sys.exit(failures != 0)
unilm('unilm-swa', False, 'BF16')
unilm('unilm-retention', True, 'F32')
fla('fla-swa', 'swa', 'fla')
fla('fla-retention', 'gated_retention', 'yoco')
good_weights = own('own', True)
own('own-without-indexer', False)
wrong_folders(good_weights)
same_tokens(good_weights)
same_blocks()
same_floats()
quantized()
streams()
folder_cases.run(sys.modules[__name__], good_weights)
ordinary_cases.run(sys.modules[__name__])
print(f'{passed} passed, {failures} failed')
sys.exit(failures != 0)
