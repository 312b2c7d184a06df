# SPDX-License-Identifier: Apache-2.0
"""ordinary_ref: what an ordinary network computes from the tensors of its
folder, in float64. What is not in the tensors is told by the test, layer by
layer, so that nothing is derived here as the converter derives it.

Network(tensors, layers, ...).logits(ids) -> [n, vocab]; a layer is a dict:
e, freqs (None: not rotated), window (0: none), source (layer of its K and V).
"""
import numpy as np


def powers(base, e, pairs=None):
    """Angles per position of the first pairs of a head of e values."""
    return base ** (-2 * np.arange(e // 2 if pairs is None else pairs) / e)


def yarn(base, e, factor, original, fast=32.0, slow=1.0):
    def turns(n):
        return e * np.log(original / (n * 2 * np.pi)) / (2 * np.log(base))
    low = max(np.floor(turns(fast)), 0)
    high = min(np.ceil(turns(slow)), e - 1)
    ramp = (np.arange(e // 2) - low) / max(high - low, 1e-3)
    ramp = np.clip(ramp, 0, 1)
    f = powers(base, e)
    return f / factor * ramp + f * (1 - ramp)


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rotate(x, freqs, magnitude):
    n, half = len(x), len(freqs)
    angle = np.arange(n)[:, None] * freqs
    c, s = np.cos(angle)[:, None] * magnitude, np.sin(angle)[:, None] * magnitude
    a, b, rest = (x[..., :half], x[..., half:2 * half], x[..., 2 * half:])
    return np.concatenate((a * c - b * s, b * c + a * s, rest), -1)


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return x / 2 * (1 + np.tanh((2 / np.pi) ** .5 * (x + .044715 * x ** 3)))


def capped(x, cap):
    return cap * np.tanh(x / cap) if cap else x


class Network:
    def __init__(self, tensors, layers, h, g, prefix='model.', eps=1e-6,
                 plus=0, magnitude=1.0, scale=None, gemma=False, caps=(0, 0),
                 v_norm=False, inputs=0):
        self.t = {k: v.astype(np.float64) for k, v in tensors.items()}
        self.layers, self.h, self.g, self.prefix = layers, h, g, prefix
        self.eps, self.plus, self.magnitude = eps, plus, magnitude
        self.scale, self.gemma, self.caps = scale, gemma, caps
        self.v_norm, self.inputs = v_norm, inputs
        self.act = gelu if gemma else silu

    def w(self, name):
        return self.t[self.prefix + name + '.weight']

    def has(self, name):
        return self.prefix + name + '.weight' in self.t

    def norm(self, x, name):
        return rms(x, self.w(name) + self.plus, self.eps)

    def linear(self, x, name):
        y = x @ self.w(name).T
        return y + self.t.get(self.prefix + name + '.bias', 0)

    def heads(self, y, at, role, n, e, freqs):
        y = y.reshape(len(y), n, e)
        if self.has(f'{at}{role}_norm'):
            y = self.norm(y, f'{at}{role}_norm')
        return y if freqs is None else rotate(y, freqs, self.magnitude)

    def project(self, x, at, e):
        if not self.has(at + 'qkv_proj'):
            q = self.linear(x, at + 'q_proj')
            return q, at + 'k_proj', at + 'v_proj'
        q, k, v = np.split(self.linear(x, at + 'qkv_proj'),
                           [self.h * e, (self.h + self.g) * e], -1)
        return q, k, v

    def kv(self, x, at, k, v, layer):
        e, n = layer['e'], len(x)
        if isinstance(k, str):
            k, v = self.linear(x, k), self.linear(
                x, v if self.has(v) else k)
        v = v.reshape(n, self.g, e)
        if self.v_norm:
            v = rms(v, 1, self.eps)
        return self.heads(k, at, 'k', self.g, e, layer['freqs']), v

    def attention(self, i, x, made):
        layer, at = self.layers[i], f'layers.{i}.self_attn.'
        e, n = layer['e'], len(x)
        q, k, v = self.project(x, at, e)
        source = layer.get('source', i)
        if source == i:
            made[i] = self.kv(x, at, k, v, layer)
        k, v = (np.repeat(m, self.h // self.g, 1) for m in made[source])
        q = self.heads(q, at, 'q', self.h, e, layer['freqs'])
        s = np.einsum('qhe,khe->hqk', q, k) * (self.scale or e ** -.5)
        back = np.arange(n)[:, None] - np.arange(n)
        sees = (back >= 0) & (back < (layer['window'] or n))
        s = np.where(sees, capped(s, self.caps[0]), -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        out = np.einsum('hqk,khe->qhe', p / p.sum(-1, keepdims=True), v)
        return self.linear(out.reshape(n, -1), at + 'o_proj')

    def ffn(self, at, y):
        if self.has(at + 'mlp.gate_up_proj'):
            gate, up = np.split(self.linear(y, at + 'mlp.gate_up_proj'), 2, -1)
        else:
            gate = self.linear(y, at + 'mlp.gate_proj')
            up = self.linear(y, at + 'mlp.up_proj')
        return self.linear(self.act(gate) * up, at + 'mlp.down_proj')

    def layer(self, i, x, made, own):
        at = f'layers.{i}.'
        a = self.attention(i, self.norm(x, at + 'input_layernorm'), made)
        if self.gemma:
            x = x + self.norm(a, at + 'post_attention_layernorm')
            f = self.ffn(at, self.norm(x, at + 'pre_feedforward_layernorm'))
            x = x + self.norm(f, at + 'post_feedforward_layernorm')
        else:
            x = x + a
            x = x + self.ffn(at, self.norm(x, at + 'post_attention_layernorm'))
        if own is not None:
            p = self.act(self.linear(x, at + 'per_layer_input_gate')) * own
            x = x + self.norm(self.linear(p, at + 'per_layer_projection'),
                              at + 'post_per_layer_input_norm')
        return x * self.t.get(self.prefix + at + 'layer_scalar', 1.0)

    def own_inputs(self, x, ids):
        """[n][layers][inputs], of the scaled embedding and of a table."""
        shape = (len(ids), len(self.layers), self.inputs)
        p = x @ self.w('per_layer_model_projection').T / x.shape[1] ** .5
        p = self.norm(p.reshape(shape), 'per_layer_projection_norm')
        t = self.w('embed_tokens_per_layer')[ids].reshape(shape)
        return (p + t * self.inputs ** .5) / 2 ** .5

    def logits(self, ids):
        x, made = self.w('embed_tokens')[ids], {}
        if self.gemma:
            x = x * x.shape[1] ** .5
        own = self.own_inputs(x, ids) if self.inputs else None
        for i in range(len(self.layers)):
            x = self.layer(i, x, made, None if own is None else own[:, i])
        head = self.t.get('lm_head.weight')
        head = self.w('embed_tokens') if head is None else head
        return capped(self.norm(x, 'norm') @ head.T, self.caps[1])
