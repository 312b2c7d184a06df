#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py: the seeds of the fuzz targets, the same bytes every time.

    python3 tests/fuzz/seeds.py CLSA

writes tests/fuzz/corpus/TARGET/seed-* and the folders tests/fuzz/folder, qwen3
and gemma. Session files
need the program and the models of tests/data. Inputs of other names in the
corpus were found by fuzzing and are kept.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from folder_file import (  # noqa: E402
    WORDS, safetensors, tiktoken, tokenizer_json)
from gguf_file import (  # noqa: E402
    MERGES, byte_alphabet, container, key, tokenizer, T_F16, T_F32, T_Q4_0, T_Q4_K, T_Q6_K, T_Q8_0, Network)

SHAPE = dict(L=2, S=1, d=8, f=8, h=2, g=1, e=8)


def seed(target, name, data):
    folder = os.path.join(HERE, 'corpus', target)
    os.makedirs(folder, exist_ok=True)
    data = data.encode() if isinstance(data, str) else data
    with open(os.path.join(folder, 'seed-' + name), 'wb') as f:
        f.write(data)


# ------------------------------------------------------------------ templates

TEMPLATES = {
    'turns': "{%- for m in messages -%}<{{ m.role }}>{{ m['content'] | trim }}"
             "{% if not loop.last %}\n{% endif %}{% endfor %}"
             "{{- '<assistant>' if add_generation_prompt }}",
    'tools': "{% macro p(v, d=0) %}{% if v is mapping %}{% for k, x in v | "
             "dictsort %}{{ k ~ ':' ~ p(x, d=d + 1) }}{% endfor %}{% else %}"
             "{{ v | tojson(indent=2) }}{% endif %}{% endmacro %}"
             "{% for t in tools %}{{ p(t.function) }}{% endfor %}"
             "{{ messages[::-1] | selectattr('tool_calls') | list | string }}",
    'names': "{% set ns = namespace(n=0) %}{% for m in messages if m.content %}"
             "{% set ns.n = ns.n + 1 %}{{ m.content.split(' ')[-1].rstrip() }}"
             "{% endfor %}{{ '%05.1f' % ns.n }}{{ strftime_now('%d %b %Y') }}"
             "{% set x %}a{% endset %}{{ (x * 3)[1:] is in 'aaa' }}",
    'calls': "{% call(a) f(1) %}{{ a }}{% endcall %}\0{\"messages\":[]}",
    'request': "{{ messages | map(attribute='a.0') | join(',') }}{{ q }}\0"
               "{\"messages\":[{\"a\":[1e3]}],\"options\":{\"q\":-0.5}}",
    'bomb': "{% for a in range(99999) %}{% for b in range(99999) %}"
            "{{ 'x' * 999 }}{% endfor %}{% endfor %}",
}


BODIES = {
    'chat': '\0{"messages":[{"role":"user","content":"a<|im_end|>b"}],"n":2,'
            '"stop":["x"],"logprobs":true,"top_logprobs":3}',
    'text': '\1{"prompt":"ab","max_tokens":4,"logit_bias":{"3":-100},"seed":-1,'
            '"stream":true,"stream_options":{"include_usage":true}}',
    'ids': '\1{"prompt":[[1,2],[3]],"temperature":0.5,"echo":true,'
           '"max_completion_tokens":2,"dry_multiplier":1e1}',
    'refused': '\1{"prompt":"a","tools":[{}],"response_format":{"type":"x"}}',
    'tokenize': '\2{"content":"a b","with_pieces":true,"add_special":true}',
    'detokenize': '\3{"tokens":[1,2,99999]}',
    'template': '\4{"messages":[{"role":"a","content":[{"type":"text",'
                '"text":"b"}]}],"chat_template_kwargs":{"a":1}}',
    'deep': '\1' + '[' * 3000,
}


def templates():
    for name, text in BODIES.items():
        seed('body', name, text)
    for name, text in TEMPLATES.items():
        seed('template', name, text)


# ----------------------------------------------------------------- tokenizers

TEXTS = (b'The abab 12 er\'s <s>a</s>  \n\n caf\xc3\xa9 x\xcc\x81\xcc\xa3 '
         b'\xe2\x96\x81\xe2\x96\x81 \xe4\xb8\x80\xe3\x82\xab <u> 1234 \xff\xe2\x82 ',
         b'ABc\'LL \xd0\x9f\xd1\x80 \r\n/ \xe0\xb8\x81\xe0\xb8\xb4 !abc \xc5\xbf',
         b'a' * 300 + b' ' * 200 + b'7' * 100)


def tokenizers():
    for which in range(1, 13):
        for i, text in enumerate(TEXTS):
            seed('tokenizer', f'{which}-{i}', bytes([which]) + text)
    keys = tokenizer(byte_alphabet(), MERGES)
    for name, data in (
            ('gguf', container([key(n, *v) for n, v in keys.items()])),
            ('json', json.dumps(tokenizer_json()).encode())):
        seed('tokenizer', name, bytes([0]) +
             len(data).to_bytes(4, 'little') + data + TEXTS[0])


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


# Sizes, flags and keys of ordinary networks: two norms or four (4), norms of q
# and k (n), biases (b), fused tensors (f), inputs of each layer (i).
ORDINARY = {
    'llama': ('b', dict(attention_bias=True, mlp_bias=True, rope_scaling=dict(
        rope_type='llama3', factor=8.0, low_freq_factor=1, high_freq_factor=4,
        original_max_position_embeddings=16))),
    'mistral': ('', dict(sliding_window=4, rope_parameters=dict(
        type='linear', factor=2.0))),
    'qwen2': ('q', dict(use_sliding_window=True, sliding_window=3,
                        max_window_layers=1)),
    'qwen3': ('n', dict(rope_scaling=dict(
        rope_type='yarn', factor=4.0, beta_fast=16, mscale=1, mscale_all_dim=1,
        original_max_position_embeddings=16))),
    'smollm3': ('', dict(no_rope_layers=[1, 0])),
    'phi3': ('f', dict(
        partial_rotary_factor=0.5, original_max_position_embeddings=16,
        rope_scaling=dict(type='longrope', short_factor=[1, 2],
                          long_factor=[3, 4]))),
    'gemma2': ('4', dict(query_pre_attn_scalar=4, sliding_window=4)),
    'gemma3_text': ('4n', dict(
        sliding_window=4, sliding_window_pattern=2, rope_local_base_freq=1e3,
        rope_scaling=dict(rope_type='linear', factor=8.0))),
    'gemma4_text': ('4ni', dict(
        global_head_dim=8, num_kv_shared_layers=1, sliding_window=4,
        hidden_size_per_layer_input=8, use_double_wide_mlp=False,
        rope_theta=None,
        layer_types=['full_attention'] * 2, rope_parameters=dict(
            full_attention=dict(rope_type='proportional', rope_theta=1e6,
                                partial_rotary_factor=0.5)))),
}


def ordinary_config(kind):
    s = SHAPE
    c = dict(model_type=kind, hidden_size=s['d'], num_hidden_layers=s['L'],
             intermediate_size=s['f'], rms_norm_eps=1e-5,
             vocab_size=len(WORDS), num_attention_heads=s['h'],
             num_key_value_heads=s['g'], head_dim=s['e'], rope_theta=1e4,
             max_position_embeddings=64, bos_token_id=0, eos_token_id=[0],
             tie_word_embeddings=True)
    c.update(ORDINARY[kind][1])
    return {k: v for k, v in c.items() if v is not None}


def layer_shapes(flags):
    s = SHAPE
    d, f, he, ge = s['d'], s['f'], s['h'] * s['e'], s['g'] * s['e']
    shapes = {'input_layernorm': (d,), 'post_attention_layernorm': (d,),
              'self_attn.o_proj': (d, he), 'mlp.down_proj': (d, f)}
    if 'f' in flags:
        shapes.update({'self_attn.qkv_proj': (he + 2 * ge, d),
                       'mlp.gate_up_proj': (2 * f, d)})
    else:
        shapes.update({'self_attn.q_proj': (he, d), 'mlp.up_proj': (f, d),
                       'self_attn.k_proj': (ge, d), 'mlp.gate_proj': (f, d),
                       'self_attn.v_proj': (ge, d)})
    if '4' in flags:
        shapes.update({'pre_feedforward_layernorm': (d,),
                       'post_feedforward_layernorm': (d,)})
    if 'n' in flags:
        shapes.update({'self_attn.q_norm': (s['e'],),
                       'self_attn.k_norm': (s['e'],)})
    if 'i' in flags:
        shapes.update({'per_layer_input_gate': (8, d),
                       'per_layer_projection': (d, 8),
                       'post_per_layer_input_norm': (d,)})
    return shapes


def ordinary_tensors(kind):
    flags, random = ORDINARY[kind][0], np.random.RandomState(6)
    d, layers = SHAPE['d'], SHAPE['L']
    shapes = {'embed_tokens': (len(WORDS), d), 'norm': (d,)}
    if 'i' in flags:
        shapes.update({'embed_tokens_per_layer': (len(WORDS), 8 * layers),
                       'per_layer_model_projection': (8 * layers, d),
                       'per_layer_projection_norm': (8,)})
    for i in range(layers):
        for name, shape in layer_shapes(flags).items():
            shapes[f'layers.{i}.{name}'] = shape
    found = {}
    for name, shape in shapes.items():
        found[f'model.{name}.weight'] = random.uniform(-1, 1, shape)
        if len(shape) == 2 and 'layers' in name and (
                'b' in flags or 'q' in flags and name[-6:-5] in 'qkv'):
            found[f'model.{name}.bias'] = random.uniform(-1, 1, shape[0])
    return found


def folder(top, config, words, tensors):
    os.makedirs(top, exist_ok=True)
    for name, data in (('config.json', config.encode()),
                       ('tokenizer.json', words.encode()),
                       ('model.safetensors', tensors)):
        with open(os.path.join(top, name), 'wb') as f:
            f.write(data)


def ordinary(program):
    """Configurations, and model files that come of them."""
    words = json.dumps(tokenizer_json())
    os.makedirs(os.path.join(HERE, 'tensors'), exist_ok=True)
    for kind in ORDINARY:
        data = json.dumps(ordinary_config(kind))
        parts = (data, words, safetensors(ordinary_tensors(kind), 'F16'))
        if kind in ('qwen3', 'gemma3_text'):
            folder(os.path.join(HERE, kind[:5]), *parts)
        with open(os.path.join(HERE, 'tensors', kind), 'wb') as f:
            f.write(parts[2])
        seed('folder', kind, data + '\0' + words)
        with tempfile.TemporaryDirectory() as top:
            folder(top, *parts)
            made = os.path.join(top, 'model')
            subprocess.run([program, 'convert', '-q', top, '-o', made],
                           check=True, stdout=subprocess.DEVNULL)
            with open(made, 'rb') as f:
                seed('gguf', kind, f.read())
    nested = dict(model_type='gemma3', vision_config={},
                  text_config=ordinary_config('gemma3_text'))
    seed('folder', 'nested', json.dumps(nested) + '\0{}')


INDEX = ('llama-3.2-1b,block_count=2,embedding_length=16,vocab=280,'
         'feed_forward_length=16,attention.head_count=2,'
         'attention.head_count_kv=1,attention.key_length=8,'
         'attention.value_length=8,rope.dimension_count=8,'
         'attention.indexer.layers=1*1,attention.indexer.key_length=8,'
         'attention.indexer.head_count=2,attention.indexer.top_k=6,'
         'attention.indexer.sink_rows=1,attention.indexer.recent_rows=2,'
         'attention.indexer.first_window=4,attention.anchor_layers=0*1')


def index(program):
    """An ordinary model with an index, and anchors."""
    with tempfile.TemporaryDirectory() as top:
        made = os.path.join(top, 'model')
        subprocess.run([program, 'bench', 'model', '-q', '--shape', INDEX,
                        '--type', 'f16', '-o', made], check=True,
                       stdout=subprocess.DEVNULL)
        with open(made, 'rb') as f:
            seed('gguf', 'index', f.read())


def folders():
    good = safetensors(tensors(), 'F16')
    words = json.dumps(tokenizer_json())
    folder(os.path.join(HERE, 'folder'), config(), words, good)
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
    ordinary(sys.argv[1])
    index(sys.argv[1])
    sessions(sys.argv[1])
    templates()
    tokenizers()
    needles()
    numbers()


if __name__ == '__main__':
    main()
