# SPDX-License-Identifier: Apache-2.0
"""ordinary_cases: folders of Llama, Mistral, SmolLM3, Qwen, Phi and Gemma with
random weights. Called by convert.py, whose module is `h` here.

Each says something that a configuration can say and that changes what is
computed. The file of clsa convert has to give the logits of ordinary_ref.py,
which is told what the folder means, layer by layer; what is not supported has
to be refused by its key.
"""
import json
import os

import numpy as np

from folder_file import safetensors, tokenizer_json
from ordinary_ref import Network, powers, yarn

D, F, H, G, E, L = 32, 24, 4, 2, 8, 4
IDS = [5, 9, 200, 31, 7, 77, 120, 64, 3, 18, 250, 90] * 3


def usual(kind, **config):
    """A configuration of the usual sizes; None leaves a key out."""
    base = dict(model_type=kind, hidden_size=D, intermediate_size=F,
                num_hidden_layers=L, num_attention_heads=H,
                num_key_value_heads=G, head_dim=E, rms_norm_eps=1e-6,
                max_position_embeddings=64, rope_theta=1e4, bos_token_id=0,
                eos_token_id=0, tie_word_embeddings=True)
    base.update(config)
    return {k: v for k, v in base.items() if v is not LEFT_OUT}


LEFT_OUT = object()


def full(n=L, freqs=None, e=E, **more):
    return [dict(e=e, freqs=powers(1e4, e) if freqs is None else freqs,
                 window=0, **more) for _ in range(n)]


def windows(layers, w, which):
    for i in which:
        layers[i]['window'] = w
    return layers


class Cases:
    def __init__(self, h):
        self.h, self.number = h, 0

    # ------------------------------------------------------------- tensors

    def weights(self, layers=L, d=D, prefix='model.', bias=(), norms=2,
                qk_norm=False, head=False, fused=False, plus=0.0):
        self.number += 1
        w = self.h.Weights('ordinary-%d' % self.number)

        def norm(name, n):
            w.norm(prefix + name, n)
            w[prefix + name + '.weight'] -= np.float32(plus)

        def matrix(name, rows, cols):
            w.matrix(prefix + name, rows, cols)
            if name.split('.')[-1] in bias:
                w[prefix + name + '.bias'] = w.random.uniform(
                    -.5, .5, rows).astype('f4')
        matrix('embed_tokens', self.h.VOCAB, d)
        norm('norm', d)
        if head:
            w.matrix('lm_head', self.h.VOCAB, d)
        for i in range(layers):
            at = f'layers.{i}.'
            names = ['input_layernorm', 'post_attention_layernorm']
            if norms == 4:
                names += ['pre_feedforward_layernorm',
                          'post_feedforward_layernorm']
            for name in names:
                norm(at + name, d)
            if fused:
                matrix(at + 'self_attn.qkv_proj', (H + 2 * G) * E, d)
                matrix(at + 'mlp.gate_up_proj', 2 * F, d)
            else:
                matrix(at + 'self_attn.q_proj', H * E, d)
                matrix(at + 'self_attn.k_proj', G * E, d)
                matrix(at + 'self_attn.v_proj', G * E, d)
                matrix(at + 'mlp.gate_proj', F, d)
                matrix(at + 'mlp.up_proj', F, d)
            if qk_norm:
                norm(at + 'self_attn.q_norm', E)
                norm(at + 'self_attn.k_norm', E)
            matrix(at + 'self_attn.o_proj', d, H * E)
            matrix(at + 'mlp.down_proj', d, F)
        return w

    def folder(self, config, weights, shards=1):
        self.number += 1
        name = 'ordinary-%d' % self.number
        self.h.write(name, 'config.json', config)
        self.h.write(name, 'tokenizer.json', tokenizer_json())
        parts = list(weights.items())
        if shards == 1:
            self.h.write(name, 'model.safetensors', safetensors(weights))
            return name
        index = {}
        for k in range(shards):
            part = 'model-%05d-of-%05d.safetensors' % (k + 1, shards)
            own = dict(parts[k::shards])
            self.h.write(name, part, safetensors(own, odd=True))
            index.update({t: part for t in own})
        self.h.write(name, 'model.safetensors.index.json',
                     {'weight_map': index})
        return name

    # ---------------------------------------------------------- comparisons

    def same(self, what, config, weights, layers, shards=1,
             ends=(1, 12, len(IDS)), **how):
        """The folder's file gives the logits of the reference."""
        name = self.folder(config, weights, shards)
        path = os.path.join(self.h.TOP, name)
        code, out, err = self.h.clsa('convert', '-q', path, '-o',
                                     path + '.gguf')
        self.h.expect(what + ' converts', code == 0, err)
        if code != 0:
            return
        self.h.write(name, 'ids.json', [IDS[:n] for n in ends])
        code, out, err = self.h.clsa(
            'eval', 'logits', '-q', '-m', path + '.gguf', '--ids',
            path + '/ids.json', '-o', path + '.f32', '--kv-type', 'f32')
        self.h.expect(what + ' runs', code == 0, err)
        if code != 0:
            return
        got = np.fromfile(path + '.f32', '<f4').reshape(len(ends), -1)
        network = Network(weights, layers, H, G, **how)
        want = network.logits(IDS)[[n - 1 for n in ends]]
        self.h.expect(what + ' gives its logits', self.h.near(got, want, 1e-3),
                      np.abs(got - want).max())

    # --------------------------------------------------------------- kinds

    def llama(self):
        scaling = dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0,
                       high_freq_factor=4.0,
                       original_max_position_embeddings=32)
        f = powers(1e4, E)
        length = 2 * np.pi / f
        smooth = (32 / length - 1) / 3
        slow = np.where(length > 32, f / 8, np.where(
            length < 8, f, (1 - smooth) * f / 8 + smooth * f))
        self.same('llama', usual('llama', rope_scaling=scaling,
                                 attention_bias=True, mlp_bias=True),
                  self.weights(bias=('q_proj', 'k_proj', 'v_proj', 'o_proj',
                                     'gate_proj', 'up_proj', 'down_proj')),
                  full(freqs=slow))
        self.same('llama in parts', usual(
            'llama', tie_word_embeddings=LEFT_OUT, head_dim=LEFT_OUT,
            rope_theta=LEFT_OUT, rope_parameters=dict(
                rope_type='linear', factor=2.0, rope_theta=500.0)),
            self.weights(head=True), full(freqs=powers(500.0, E) / 2),
            shards=3)

    def mistral(self):
        w = self.weights(prefix='model.language_model.', head=True)
        w['model.vision_tower.patch.weight'] = np.ones((2, 2, 2, 2), 'f4')
        w['model.multi_modal_projector.norm.weight'] = np.ones(2, 'f4')
        text = usual('mistral', sliding_window=6, num_key_value_heads=G,
                     tie_word_embeddings=False)
        self.same('mistral with a window, of several media', dict(
            model_type='mistral3', text_config=text, vision_config={},
            image_token_index=7, tie_word_embeddings=False), w,
            windows(full(), 6, range(L)), prefix='model.language_model.')

    def qwen(self):
        biases = ('q_proj', 'k_proj', 'v_proj')
        self.same('qwen2 with late windows', usual(
            'qwen2', use_sliding_window=True, sliding_window=5,
            max_window_layers=3), self.weights(bias=biases),
            windows(full(), 5, [3]))
        types = ['sliding_attention', 'full_attention'] * 2
        self.same('qwen2 with windows by layer', usual(
            'qwen2', use_sliding_window=True, sliding_window=5,
            layer_types=types), self.weights(bias=biases),
            windows(full(), 5, [0, 2]))
        scaling = dict(rope_type='yarn', rope_theta=1e3, factor=4.0,
                       original_max_position_embeddings=16, beta_fast=8,
                       beta_slow=0.5, attention_factor=1.3)
        self.same('qwen3 with YaRN', usual(
            'qwen3', rope_theta=LEFT_OUT, rope_parameters=scaling,
            attention_bias=True, num_key_value_heads=G), self.weights(
                qk_norm=True, bias=(*biases, 'o_proj')),
            full(freqs=yarn(1e3, E, 4.0, 16, 8, 0.5)), magnitude=1.3)

    def smollm3(self):
        layers = full()
        layers[1]['freqs'] = None
        self.same('smollm3', usual(
            'smollm3', head_dim=LEFT_OUT, no_rope_layers=[1, 0, 1, 1],
            use_sliding_window=True, sliding_window=7), self.weights(),
            windows(layers, 7, [1]))
        layers = full()
        layers[2]['freqs'] = None
        self.same('smollm3 with an interval', usual(
            'smollm3', no_rope_layer_interval=3), self.weights(), layers)

    def phi3(self):
        brief, wide = [1.0, 1.5, 2.5], [2.0, 4.0, 9.0]
        f = powers(1e4, 6)
        for context, factors in ((36, brief), (16, wide)):
            self.same('phi3 with LongRoPE', usual(
                'phi3', partial_rotary_factor=0.75,
                max_position_embeddings=4 * context,
                original_max_position_embeddings=context, rope_scaling=dict(
                    type='su', short_factor=brief, long_factor=wide)),
                self.weights(fused=True), full(freqs=f / factors),
                ends=[len(IDS)],
                magnitude=(1 + np.log(4) / np.log(context)) ** .5)

    def gemma2(self):
        types = ['full_attention', 'sliding_attention'] * 2
        self.same('gemma2', usual(
            'gemma2', query_pre_attn_scalar=3, sliding_window=4,
            layer_types=types, attn_logit_softcapping=2.0,
            final_logit_softcapping=None, tie_word_embeddings=LEFT_OUT,
            hidden_activation='gelu_pytorch_tanh'),
            self.weights(norms=4, plus=1.0), windows(full(), 4, [1, 3]),
            plus=1, gemma=True, scale=3 ** -.5, caps=(2.0, 0))

    def gemma3(self):
        layers = windows(full(freqs=powers(300.0, E)), 5, [0, 1, 3])
        layers[2]['freqs'] = powers(1e5, E) / 4
        how = dict(plus=1, gemma=True, scale=E ** -.5)
        scaling = dict(rope_type='linear', factor=4.0)
        ropes = dict(full_attention=dict(scaling, rope_theta=1e5),
                     sliding_attention=dict(rope_type='default',
                                            rope_theta=300.0))
        config = usual('gemma3_text', query_pre_attn_scalar=E,
                       sliding_window=5, tie_word_embeddings=LEFT_OUT)
        older = dict(config, rope_theta=1e5, rope_local_base_freq=300.0,
                     rope_scaling=scaling, sliding_window_pattern=3)
        del config['rope_theta']
        newer = dict(config, rope_parameters=ropes, layer_types=[
            'sliding_attention', 'sliding_attention', 'full_attention',
            'sliding_attention'])
        prefix = 'language_model.model.'
        w = self.weights(norms=4, qk_norm=True, plus=1.0)
        self.same('gemma3', older, w, layers, **how)
        self.same('gemma3 in new keys', newer, w, layers, **how)
        w = self.weights(norms=4, qk_norm=True, plus=1.0, prefix=prefix)
        w['vision_tower.x.weight'] = np.ones(3, 'f4')
        self.same('gemma3 of several media', dict(
            model_type='gemma3', text_config=older, vision_config={}), w,
            layers, prefix=prefix, **how)

    def gemma4_weights(self, prefix, inputs):
        w = self.weights(layers=6, norms=4, qk_norm=True, prefix=prefix)
        at = prefix + 'layers.%d.'
        for i in (2, 5): # heads of full layers are larger
            for part, rows in (('q', H), ('k', G), ('v', G)):
                w.matrix((at + 'self_attn.%s_proj') % (i, part),
                         rows * 2 * E, D)
            w.matrix((at + 'self_attn.o_proj') % i, D, H * 2 * E)
            for part in 'qk':
                w.norm((at + 'self_attn.%s_norm') % (i, part), 2 * E)
        for i in (4, 5): # layers without K and V have a wide FFN
            w.matrix((at + 'mlp.gate_proj') % i, 2 * F, D)
            w.matrix((at + 'mlp.up_proj') % i, 2 * F, D)
            w.matrix((at + 'mlp.down_proj') % i, D, 2 * F)
        for i in range(6):
            w[at % i + 'layer_scalar'] = np.array([.5 + .1 * i], 'f4')
            w.matrix(at % i + 'per_layer_input_gate', inputs, D)
            w.matrix(at % i + 'per_layer_projection', D, inputs)
            w.norm(at % i + 'post_per_layer_input_norm', D)
        w.matrix(prefix + 'embed_tokens_per_layer', self.h.VOCAB, 6 * inputs)
        w.matrix(prefix + 'per_layer_model_projection', 6 * inputs, D)
        w.norm(prefix + 'per_layer_projection_norm', inputs)
        return w

    def gemma4(self):
        config = usual(
            'gemma4_text', num_hidden_layers=6, global_head_dim=2 * E,
            hidden_size_per_layer_input=8, num_kv_shared_layers=2,
            use_double_wide_mlp=True, sliding_window=5, rope_theta=LEFT_OUT,
            final_logit_softcapping=3.0, use_bidirectional_attention='vision',
            layer_types=(['sliding_attention'] * 2 + ['full_attention']) * 2,
            rope_parameters=dict(
                full_attention=dict(rope_type='proportional', rope_theta=1e5,
                                    partial_rotary_factor=0.25),
                sliding_attention=dict(rope_type='default', rope_theta=1e3)))
        layers = windows(full(6, powers(1e3, E)), 5, [0, 1, 3, 4])
        for i in (2, 5):
            layers[i].update(e=2 * E, freqs=np.concatenate(
                (powers(1e5, 2 * E, 2), np.zeros(E - 2))))
        layers[4]['source'], layers[5]['source'] = 3, 2
        how = dict(gemma=True, scale=1.0, caps=(0, 3.0), v_norm=True, inputs=8)
        w = self.gemma4_weights('model.', 8)
        self.same('gemma4', config, w, layers, **how)
        prefix = 'model.language_model.'
        w = self.gemma4_weights(prefix, 8)
        for i in (4, 5): # are there, or are not: nothing reads them
            del w[f'{prefix}layers.{i}.self_attn.k_proj.weight']
        w['model.embed_vision.x.weight'] = np.ones(3, 'f4')
        self.same('gemma4 of several media', dict(
            model_type='gemma4', text_config=config, audio_config=None), w,
            layers, prefix=prefix, **how)

    # ------------------------------------------------------------- refused

    def refused(self):
        sliding = ['sliding_attention'] * L
        yarn_like = dict(rope_type='yarn', factor=2.0)
        cases = [
            ('llama', dict(sliding_window=8), "'sliding_window' is 8"),
            ('llama', dict(layer_types=sliding), "'layer_types' is"),
            ('llama', dict(partial_rotary_factor=.5),
             "'partial_rotary_factor' is 0.5"),
            ('llama', dict(rope_scaling=dict(type='dynamic', factor=2.0)),
             "'rope_type' is 'dynamic'"),
            ('llama', dict(rope_scaling=dict(rope_type='longrope')),
             "'rope_type' is 'longrope'"),
            ('llama', dict(rope_scaling=dict(yarn_like, truncate=False)),
             "key 'truncate'"),
            ('llama', dict(rope_scaling=dict(yarn_like, mystery=1)),
             "key 'mystery'"),
            ('llama', dict(rope_scaling=yarn_like, rope_parameters=dict(
                rope_type='linear', factor=2.0)), "key 'rope_scaling'"),
            ('llama', dict(hidden_act='gelu'), "'hidden_act' is"),
            ('llama', dict(query_pre_attn_scalar=9), "pre_attn_scalar' is 9"),
            ('llama', dict(num_experts=4), "'num_experts' is 4"),
            ('llama', dict(attn_logit_softcapping=5.0), 'softcapping'),
            ('llama', dict(vocab_size=77), "'vocab_size' is 77, but tensor"),
            ('mistral', dict(attention_bias=True), "'attention_bias'"),
            ('mistral', dict(layer_types=['full_attention'] * L,
                             sliding_window=8), "'layer_types'"),
            ('qwen2', dict(layer_types=sliding), "'layer_types'"),
            ('qwen2', dict(layer_types=['chunked_attention'] * L),
             "'layer_types'"),
            ('qwen2', dict(rope_scaling=dict(
                type='default', mrope_section=[1, 1, 2])), 'mrope_section'),
            ('smollm3', dict(no_rope_layers=[1, 0]), "'no_rope_layers'"),
            ('phi3', dict(rope_scaling=dict(type='linear', factor=2.0)),
             "'rope_type' is 'linear'"),
            ('phi3', dict(rope_scaling=dict(
                type='longrope', short_factor=[1.0], long_factor=[1.0])),
             'not lists of 4 numbers'),
            ('phi3', dict(rope_scaling=dict(
                type='longrope', short_factor=[1.0] * 4,
                long_factor=[1.0] * 4, short_mscale=1.1)), 'short_mscale'),
            ('gemma2', dict(hidden_activation='gelu'), "'hidden_activation'"),
            ('gemma2', dict(sliding_window=None), "'sliding_window'"),
            ('gemma3_text', dict(use_bidirectional_attention=True),
             "'use_bidirectional_attention'"),
            ('gemma3_text', dict(rope_parameters=dict(rope_theta=1e4)),
             "'rope_parameters'"),
            ('gemma4_text', dict(enable_moe_block=True), "'enable_moe_block'"),
            ('gemma4_text', dict(use_bidirectional_attention='all'),
             "'use_bidirectional_attention'"),
            ('gemma4_text', dict(attention_k_eq_v=True,
                                 num_global_key_value_heads=1),
             "'num_global_key_value_heads' is 1"),
        ]
        w = self.weights()
        for kind, change, text in cases:
            name = self.folder(usual(kind, **change), w)
            self.h.refused('%s %s' % (kind, text), name, 'config.json', text)
        name = self.folder(usual('llama'), self.weights(qk_norm=True))
        self.h.refused('llama with norms', name, 'unknown: model.layers.0.'
                       'self_attn.k_norm', "format 'llama'")
        name = self.folder(usual('qwen2'), w)
        self.h.refused('qwen2 without biases', name,
                       'missing: model.layers.0.self_attn.q_proj.bias')


def run(h):
    cases = Cases(h)
    for kind in ('llama', 'mistral', 'qwen', 'smollm3', 'phi3', 'gemma2',
                 'gemma3', 'gemma4', 'refused'):
        getattr(cases, kind)()
