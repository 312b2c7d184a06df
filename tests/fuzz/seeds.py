#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py: the seeds of the fuzz targets, the same bytes every time.

    python3 tests/fuzz/seeds.py CLSA

writes tests/fuzz/corpus/TARGET/seed-* and tests/fuzz/folder. Session files
need the program and the models of tests/data. Inputs of other names in the
corpus were found by fuzzing and are kept.
"""
import glob
import json
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from folder_file import (  # noqa: E402
    WORDS, safetensors, tiktoken, tokenizer_json)
from gguf_file import (  # noqa: E402
    MERGES, T_F16, T_F32, T_Q4_0, T_Q4_K, T_Q6_K, T_Q8_0, Network)

SHAPE = dict(L=2, S=1, d=8, f=8, h=2, g=1, e=8)


def seed(target, name, data):
    folder = os.path.join(HERE, 'corpus', target)
    os.makedirs(folder, exist_ok=True)
    data = data.encode() if isinstance(data, str) else data
    with open(os.path.join(folder, 'seed-' + name), 'wb') as f:
        f.write(data)


# --------------------------------------------------------------------- models

NETWORKS = {
    'clsa': {},
    'f16-untied': dict(kinds=(T_F16,), tied=False, index=0),
    'f32-cross-rope': dict(kinds=(T_F32,), cross_rope=True, rope_freqs=True),
    'no-qk-norm': dict(qk_norm=False, embedding=True),
    'retention': dict(retention=True),
    'self-heads': dict(self_heads=(4, 2, 16)),
    'blocks': dict(kinds=(T_Q8_0, T_Q4_0), d=32, f=32, small=True),
    'k-quants': dict(kinds=(T_Q4_K, T_Q6_K), d=256, f=256, e=128, h=2,
                     small=True, index=0),
}


def models():
    for name, shape in NETWORKS.items():
        sizes = dict(d=8, f=8, layers=2, self_layers=1, h=2, g=1, e=8,
                     window=3, index=8, top_k=4)
        sizes.update(shape)
        if sizes.pop('embedding', False):
            sizes['extra'] = {'yoco.embedding_scale': (6, 2.5)}
        data = Network(name, **sizes).pack()
        if name == 'k-quants':
            data = data[:2000]  # its head: whole files are in tests/data
        seed('gguf', name, data)


# -------------------------------------------------------------------- folders


def tensors():
    s, random = SHAPE, np.random.RandomState(5)
    shapes = {'model.embed_tokens': (len(WORDS), s['d']),
              'model.norm': (s['d'],), 'model.shared_kv.norm': (s['d'],),
              'model.shared_kv.k_proj': (s['g'] * s['e'], s['d']),
              'model.shared_kv.v_proj': (s['g'] * s['e'], s['d']),
              'model.shared_kv.k_norm': (s['e'],),
              'model.indexer.q_proj': (8, s['d']),
              'model.indexer.k_proj': (8, s['d'])}
    for i in range(s['L']):
        layer = {'input_layernorm': (s['d'],),
                 'self_attn.q_proj': (s['h'] * s['e'], s['d']),
                 'self_attn.o_proj': (s['d'], s['h'] * s['e']),
                 'self_attn.q_norm': (s['e'],),
                 'post_attention_layernorm': (s['d'],),
                 'mlp.gate_proj': (s['f'], s['d']),
                 'mlp.up_proj': (s['f'], s['d']),
                 'mlp.down_proj': (s['d'], s['f'])}
        if i < s['S']:
            layer.update({'self_attn.k_proj': (s['g'] * s['e'], s['d']),
                          'self_attn.v_proj': (s['g'] * s['e'], s['d']),
                          'self_attn.k_norm': (s['e'],)})
        shapes.update({f'model.layers.{i}.{k}': v for k, v in layer.items()})
    return {name + '.weight': random.uniform(-1, 1, shape)
            for name, shape in shapes.items()}


def config(**changes):
    s = SHAPE
    c = dict(model_type='yoco', hidden_size=s['d'], num_hidden_layers=s['L'],
             num_self_decoder_layers=s['S'], rms_norm_eps=1e-5,
             vocab_size=len(WORDS), num_attention_heads=s['h'],
             num_key_value_heads=s['g'], head_dim=s['e'], sliding_window=8,
             index_head_dim=8, index_topk=6, rope_theta=1e4,
             max_position_embeddings=512, bos_token_id=0, eos_token_id=[0])
    c.update(changes)
    return json.dumps(c)


FLA = dict(
    model_type='yoco', hidden_size=8, vocab_size=300, num_hidden_layers=2,
    num_self_decoder_layers=1, max_position_embeddings=64, norm_eps=1e-6,
    self_decoder_attn=dict(type='swa', num_heads=2, num_kv_heads=1,
                           head_dim=8, window_size=8, rope_theta=1e4,
                           qk_norm=True),
    cross_decoder_attn=dict(num_heads=2, num_kv_heads=1, head_dim=8,
                            rope_theta=1e4, rope_inv_freq='even',
                            qk_norm=True))
UNILM = dict(dim=8, n_layers=2, n_self_heads=2, n_attn_heads=2,
             n_attn_kv_heads=1, vocab_size=300, max_seq_len=64,
             sliding_window=8, rope_theta=1e4, norm_eps=1e-6,
             load_checkpoint=False)


def folders():
    good = safetensors(tensors(), 'F16')
    words = json.dumps(tokenizer_json())
    top = os.path.join(HERE, 'folder')
    os.makedirs(top, exist_ok=True)
    for name, data in (('config.json', config().encode()),
                       ('tokenizer.json', words.encode()),
                       ('model.safetensors', good)):
        with open(os.path.join(top, name), 'wb') as f:
            f.write(data)
    seed('safetensors', 'f16', good)
    seed('safetensors', 'f32', safetensors(tensors(), 'F32'))
    seed('safetensors', 'index', json.dumps(
        {'weight_map': {n: 'a.safetensors' for n in tensors()}}))
    settings = json.dumps({'add_bos_token': True, 'chat_template': '{{x}}'})
    seed('folder', 'json', '\0'.join((config(), words, settings)))
    other = tokenizer_json()
    other['model']['merges'] = [m.split(' ') for m in MERGES]
    other['normalizer'] = {'type': 'NFC'}
    seed('folder', 'pairs', '\0'.join(
        (config(tie_word_embeddings=True), json.dumps(other), '{}')))
    seed('folder', 'tiktoken', '\0'.join((config(), tiktoken())))
    seed('folder', 'fla', '\0'.join((json.dumps(FLA), words)))
    seed('folder', 'unilm', '\0'.join((json.dumps(UNILM), tiktoken())))


# ------------------------------------------------- sessions, needles, numbers

SESSIONS = [('good-clsa', None), ('good-clsa', 'dense'),
            ('good-clsa', 'window:5'), ('good-retention-indexer', 'clsa:3')]


def sessions(program):
    for kind, (model, attention) in enumerate(SESSIONS):
        path = os.path.join(HERE, 'corpus', 'session')
        os.makedirs(path, exist_ok=True)
        path = os.path.join(path, 'seed-%d' % kind)
        policy = ['--attention', attention] if attention else []
        subprocess.run(
            [program, 'run', '-q', '-m', os.path.join(
                HERE, '..', 'data', model + '.gguf'), '-p', 'the ring', '-n',
             '2', '--temp', '0', '-t', '1', '--simd', 'ref', '-c', '64',
             *policy, '--session', path], check=True, stdout=subprocess.DEVNULL)
        with open(path, 'rb') as f:
            data = f.read()
        seed('session', '%d' % kind, bytes([kind]) + data)
        seed('session', '%d-as-it-is' % kind, bytes([kind | 0x80]) + data)


def needles():
    line = {'context': 'The code of Anna is 4711. The sun was out.',
            'questions': [
                {'question': ' The code of Anna is', 'answer': ' 4711'},
                {'question': ' Where was Anna\u2019s \u6771?',
                 'answer': ' \u00e9\u6771\U0001f600'}]}
    seed('needles', 'two', json.dumps(line) + '\n\n' +
         json.dumps(line, ensure_ascii=False) + '\n')
    seed('needles', 'special', json.dumps(
        {'context': '<|im_start|>', 'questions': [
            {'question': '<|im_end|>', 'answer': 'x'}]}))
    seed('needles', 'wrong', '{"context": "a", "questions": [{"answer": 1}]}')


def numbers():
    for i, text in enumerate((
            '-n\n16\n--small\n1K\n--real\n1.5e0\n--type\nQ8_0',
            '--size=18446744073709551615\n--small=5000\n--real=.5',
            '-t\n4\n-c\n2G\n--attention\nclsa,clsa:3,dense,window:9,sink:8',
            '--shape\n1b,d=64,self=2,k=1M,tied=1\n--numa\n0,2-3\n--one\na',
            '--numa\noff\n--kv-type\nq8_0\n--index-type\ni8\n-q\n--\nfile',
            '--keep\n*.x=f16\n--keep\n?\n--file\nx\n--json\n-v\n--help',
            '--size\n0x10\n--size\n1KK', '--nothing', '-n', '--json=1')):
        seed('numbers', '%d' % i, text)


def main():
    for old in glob.glob(os.path.join(HERE, 'corpus', '*', 'seed-*')):
        os.remove(old)
    models()
    folders()
    sessions(sys.argv[1])
    needles()
    numbers()


if __name__ == '__main__':
    main()
