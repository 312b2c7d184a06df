# SPDX-License-Identifier: Apache-2.0
"""folder_cases: model folders as people have them. Called by convert.py, whose
module is `h` here.

What a configuration or tokenizer says and the converter can do has to be done;
everything else has to be refused by name, or told.
"""
import json
import os

import numpy as np

import clsa_ref
from folder_file import safetensors, tokenizer_json
from gguf_file import SPECIALS

D, F, S, L, H, G, E = 32, 24, 1, 3, 4, 2, 8  # of the model of convert.own
TEMPLATE = '{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}'


# Ids that the library `tokenizers` of PyPI gives (tokenizer.json as here).
WORD = [31, 95, 76, 80, 66, 86, 87, 68, 85, 87, 95, 33]  # '<|im_start|>'
FLAGS = [
    ('lstrip', ('lstrip',), 'the  <|im_start|> the', [87, 261, 1, 262]),
    ('rstrip', ('rstrip',), 'the  <|im_start|> \n the',
     [87, 261, 224, 224, 1, 87, 261]),
    ('both', ('lstrip', 'rstrip'),
     'a <|im_start|><|im_start|> \u00a0<|im_start|>b', [68, 1, 1, 1, 69]),
    ('single_word', ('single_word',),
     'a<|im_start|> <|im_start|>b .<|im_start|>. \u00e9<|im_start|> '
     '\u24b6<|im_start|> \u00b2<|im_start|>',
     [68, *WORD, 224, *WORD, 69, 224, 17, 1, 17, 224, 131, 106, *WORD, 224,
      162, 244, 118, *WORD, 224, 130, 114, 1]),
    ('all', ('lstrip', 'rstrip', 'single_word'),
     ' <|im_start|> a <|im_start|> <|im_start|>b', [1, 68, 1, *WORD, 69])]
NORMALIZED = [131, 106, 1, 68]
METASPACE = [
    ('always', False, [262, 1, 262, 265, 262]),
    ('always', True, [262, 1, 262, 259, 263, 262]),
    ('first', False, [262, 1, 260, 265, 262]),
    ('first', True, [262, 1, 260, 259, 263, 262]),
    ('never', False, [260, 1, 260, 265, 262]),
    ('never', True, [260, 1, 260, 259, 263, 262])]


def characters(pre=None):
    """A tokenizer of characters, with the changed parts of a tokenizer.json."""
    tokens = ['<unk>', '<s>', '</s>'] + ['<0x%02X>' % i for i in range(256)] + [
        '\u2581', 'a', 'b', '\u2581a', '\u2581b', '\u2581\u2581',
        '\u2581\u2581b']
    prepend = {'type': 'Sequence', 'normalizers': [
        {'type': 'Prepend', 'prepend': '\u2581'},
        {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '\u2581'}]}
    return {
        'normalizer': None if pre else prepend, 'pre_tokenizer': pre,
        'post_processor': None,
        'added_tokens': [
            {'id': i, 'content': tokens[i], 'single_word': False,
             'lstrip': False, 'rstrip': False, 'normalized': False,
             'special': True} for i in range(3)],
        'model': {'type': 'BPE', 'dropout': None, 'unk_token': '<unk>',
                  'fuse_unk': True, 'byte_fallback': True,
                  'ignore_merges': False,
                  'vocab': {t: i for i, t in enumerate(tokens)},
                  'merges': [['\u2581', '\u2581'], ['\u2581\u2581', 'b'],
                             ['\u2581', 'a'], ['\u2581', 'b']]}}


class Cases:
    def __init__(self, h, weights):
        self.h, self.weights, self.number = h, weights, 0

    # ------------------------------------------------------------- folders

    def folder(self, config=None, tokens=None, settings=None, tensors=None,
               files=()):
        """A new folder: changes of its parts, and more files."""
        self.number += 1
        name = f'case-{self.number}'
        parts = {'config.json': (self.h.own_config(D, L, S, H, G, E), config),
                 'tokenizer.json': (tokenizer_json(), tokens),
                 'tokenizer_config.json': ({'add_bos_token': False}, settings)}
        for part, (data, change) in parts.items():
            if callable(change):
                change(data)
            elif change:
                data.update(change)
            self.h.write(name, part, data)
        weights = dict(self.weights)
        if tensors:
            weights = tensors(weights) or weights
        if weights:
            self.h.write(name, 'model.safetensors',
                         safetensors(weights, 'F16'))
        for part, data in dict(files).items():
            self.h.write(name, part, data)
        return name

    def path(self, name):
        return os.path.join(self.h.TOP, name)

    def convert(self, what, name, notes=None):
        """What info says about the file, or None; notes: part of them."""
        path = self.path(name) + '.gguf'
        code, out, err = self.h.clsa('convert', '-q' if notes is None else '-t1',
                                     self.path(name), '-o', path)
        self.h.expect(what + ' converts', code == 0, err)
        if code != 0:
            return {}
        if notes is not None:
            self.h.expect(what + ' says what it should', notes in err
                          if notes else not err, err)
        return json.loads(self.h.clsa('info', '--json', path)[1])[0]

    def refused(self, what, name, *parts):
        self.h.refused(what, name, *parts)

    # --------------------------------------------------------------- angles

    def compare(self, what, config, base, factors, cross=None):
        """The file is the network with these angles."""
        name = self.folder(config)
        names = self.h.own_tensors(self.h.Weights('names'), D, F, S, L, H, G,
                                   E, True)
        w = {k: self.h.rounded(v, 'F16') for k, v in self.weights.items()}
        model = self.h.Theirs(
            self.h.renamed(w, names), (clsa_ref.rope, clsa_ref.rope), L=L, S=S,
            h=H, g=G, e=E, W=8, eps=1e-5, base=base, k=6, scale=1.0,
            cross_base=cross, kind='swa', hs=H, gs=G, es=E)
        model.factors = factors, factors
        self.h.compare(what, name, model, 'clsa')

    def angles(self):
        self.compare('rope_parameters', rope(rope_theta=5e5,
                                             rope_type='default'), 5e5, 1.0)
        self.compare('rope_parameters without a type', rope(rope_theta=5e5),
                     5e5, 1.0)
        self.compare('rope_parameters of layers', rope(
            sliding_attention={'rope_type': 'default', 'rope_theta': 3e3},
            full_attention={'rope_type': 'default', 'rope_theta': 7e3},
            cross_decoder_rope=True), 3e3, 1.0, 7e3)
        self.compare('linear', {'rope_scaling': {
            'type': 'linear', 'factor': 4.0}}, 1e4, 4.0)
        self.compare('linear of both decoders', {
            'rope_scaling': {'rope_type': 'linear', 'factor': 2},
            'cross_decoder_rope': True}, 1e4, 2.0, 1e4)
        self.compare('llama3', {'rope_scaling': {
            'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0,
            'high_freq_factor': 4.0,
            'original_max_position_embeddings': 128}}, 1e4,
            llama3(1e4, E, 8.0, 1.0, 4.0, 128))
        self.compare('a scaling that is none', {'rope_scaling': None}, 1e4,
                     1.0)

    # ---------------------------------------------------------------- keys

    def keys(self):
        cases = [
            (dict(rope_scaling={'rope_type': 'yarn', 'factor': 4.0}),
             "rope_scaling: key 'rope_type' is 'yarn'"),
            (dict(rope_scaling={'type': 'dynamic', 'factor': 2.0}), 'dynamic'),
            (dict(rope_scaling={'factor': 2.0}), 'has no rope_type'),
            (dict(rope_scaling={'type': 'linear'}), "key 'factor'"),
            (dict(rope_scaling=4.0), "'rope_scaling' is not an object"),
            (dict(rope_scaling={'type': 'default', 'mrope_section': [1]}),
             "key 'mrope_section'"),
            (rope(rope_theta=1e4, rope_type='longrope'), 'longrope'),
            (rope(rope_theta=1e4, partial_rotary_factor=.5),
             "rope_parameters: key 'partial_rotary_factor' is 0.5"),
            (dict(rope_parameters={'rope_theta': 5e5}),
             "'rope_theta' is 500000, but 10000 outside"),
            (dict(rope_theta=float('nan')), "'rope_theta' is not a number"),
            (dict(rope_theta=float('inf')), "'rope_theta' is not a number"),
            (dict(partial_rotary_factor=.25), "'partial_rotary_factor' is 0.2"),
            (dict(attention_bias=True), "'attention_bias' is true"),
            (dict(mlp_bias=True), "'mlp_bias' is true"),
            (dict(use_sliding_window=False), "'use_sliding_window' is false"),
            (dict(attn_logit_softcapping=50.0), "'attn_logit_softcapping'"),
            (dict(final_logit_softcapping=30), "'final_logit_softcapping' is"),
            (dict(hidden_act='gelu'), "'hidden_act' is \"gelu\""),
            (dict(hidden_activation='relu'), "'hidden_activation'"),
            (dict(residual_multiplier=.2), "'residual_multiplier'"),
            (dict(logits_scaling=8), "'logits_scaling' is 8"),
            (dict(attention_multiplier=.1), "'attention_multiplier'"),
            (dict(query_pre_attn_scalar=256), "'query_pre_attn_scalar'"),
            (dict(num_local_experts=8), "'num_local_experts' is 8"),
            (dict(quantization_config={'bits': 4}), "'quantization_config'"),
            (dict(layer_types=['full_attention'] * L), "'layer_types' is"),
            (dict(tie_word_embeddings='no'), "is not true or false"),
        ]
        for config, text in cases:
            self.refused('key ' + text, self.folder(config), 'config.json',
                         text)
        name = self.folder(dict(
            attention_bias=False, mlp_bias=None, hidden_act='silu',
            partial_rotary_factor=1.0, residual_multiplier=1,
            query_pre_attn_scalar=E, attention_multiplier=E ** -.5,
            use_sliding_window=True, num_experts=0, rope_scaling=None,
            layer_types=['sliding_attention'] + ['full_attention'] * 2,
            torch_dtype='bfloat16', transformers_version='5.0.0',
            temperature=1.0, use_cache=True, qk_norm=True))
        self.convert('keys that change nothing', name, '')
        name = self.folder(dict(new_trick=7, other_trick=None))
        self.convert('a key of the future', name,
                     'keys of config.json that are not known here: new_trick')
        info = self.convert('an embedding_multiplier', self.folder(
            dict(embedding_multiplier=3.0)))
        self.h.expect('embedding_multiplier is read', info['metadata'].get(
            'yoco.embedding_scale') == '3', info['metadata'])

    def presence(self):
        self.refused('an output that is not there', self.folder(
            dict(tie_word_embeddings=False)), 'missing: lm_head.weight')
        self.convert('a tied output', self.folder(
            dict(tie_word_embeddings=True)), '')
        both = self.folder(dict(tie_word_embeddings=True), tensors=lambda w: {
            **w, 'lm_head.weight': w['model.embed_tokens.weight'] * 2})
        self.convert('two outputs', both, 'lm_head.weight is there and used')

        def without_norms(w):
            return {k: v for k, v in w.items() if '_norm' not in k}
        self.refused('norms that are not there', self.folder(
            dict(qk_norm=True), tensors=without_norms),
            'missing: model.layers.0.self_attn.q_norm.weight')
        self.refused('norms that should not be there', self.folder(
            dict(qk_norm=False)),
            'unknown: model.layers.0.self_attn.q_norm.weight')
        self.convert('no norms', self.folder(
            dict(qk_norm=False), tensors=without_norms), '')

    # ------------------------------------------------------------ what ends

    def ends(self):
        def drop(c):
            del c['eos_token_id']

        def case(what, expected, notes='', **parts):
            info = self.convert(what, self.folder(**parts), notes)
            # control tokens that are known to end a turn end one, too
            expected = expected + [i for i in (2, 0) if i not in expected]
            self.h.expect(what + ' ends where it should',
                          info.get('eog') == expected, info.get('eog'))
        generation = {'generation_config.json': {'eos_token_id': [2, 0]}}
        case('an id', [2], config=dict(eos_token_id=2))
        case('a list', [2, 0], config=dict(eos_token_id=[2, 0]))
        case('a longer list', [2, 0, 3, 1, 9], config=dict(
            eos_token_id=[2, 0, 3, 1, 9, 2]))
        case('a text', [2], config=dict(eos_token_id='<|im_end|>'))
        case('texts', [2, 0], config=dict(
            eos_token_id=['<|im_end|>', '<|endoftext|>']))
        case('generation_config', [2, 0], config=drop, files=generation)
        case('both', [2, 0], config=dict(eos_token_id=3), files=generation)
        case('tokenizer_config', [2], config=drop,
             settings=dict(eos_token='<|im_end|>'))
        case('an object', [2], config=drop, settings=dict(
            eos_token={'content': '<|im_end|>', 'lstrip': False}))
        case('the tokenizer, too', [0, 2],
             settings=dict(eos_token='<|im_end|>'))
        case('special_tokens_map', [2], config=drop, files={
            'special_tokens_map.json': {'eos_token': '<|im_end|>'}})
        case('nothing', [], 'no token ends a text', config=drop)
        case('a text of the tokenizer that is no token', [0],
             "eos_token '</s>' of tokenizer_config.json is not a token",
             settings=dict(eos_token='</s>'))
        for value, text in ((self.h.VOCAB, f'is {self.h.VOCAB}, not from 0 to'),
                            (-2, 'is -2, not'), ([0, 9999], 'is 9999, not'),
                            ('</s>', "is '</s>', which is not a token"),
                            (1.5, 'is not an id'), ([[1]], 'is not an id')):
            self.refused(f'eos {value}', self.folder(dict(eos_token_id=value)),
                         "config.json: key 'eos_token_id' " + text)
        self.refused('bos', self.folder(dict(bos_token_id=9999)),
                     "key 'bos_token_id' is 9999")
        self.refused('an id of a generation', self.folder(files={
            'generation_config.json': {'eos_token_id': 151645}}),
            "generation_config.json: key 'eos_token_id' is 151645")

    def all_end(self):
        """Each of the tokens ends a generation."""
        row = np.zeros(D)
        for id in (2, 5, 9, 11):
            def bias(w, id=id):
                w = dict(w)
                w['model.norm.weight'] = np.eye(1, D)[0] * 8
                w['model.embed_tokens.weight'] = np.zeros((self.h.VOCAB, D))
                w['model.embed_tokens.weight'][:, 0] = 1
                w['lm_head.weight'] = np.tile(row, (self.h.VOCAB, 1))
                w['lm_head.weight'][id, 0] = 8
                return {k: v.astype('f4') for k, v in w.items()}
            name = self.folder(dict(eos_token_id=[2, 5, 9, 11]), tensors=bias)
            self.convert(f'a model that says {id}', name)
            code, out, err = self.h.clsa(
                'run', '-m', self.path(name) + '.gguf', '-p', 'the', '-n', '4',
                '--temp', '0', '--json')
            self.h.expect(f'token {id} ends', code == 0 and
                          json.loads(out)[0]['end'] == 'text', out + err)

    # ------------------------------------------------------------ tokenizer

    def tokens(self):
        def flags(*names, normalizer=None):
            def change(t):
                for name in names:
                    t['added_tokens'][1][name] = True
                t['normalizer'] = normalizer
            return change
        for what, change, text, ids in FLAGS:
            self.cut(what, flags(*change), text, ids)
        self.convert('flags of added tokens', self.folder(
            tokens=flags('single_word')), "of added tokens, such as "
            "'<|im_start|>', are kept in the file")
        nfc = {'type': 'NFC'}
        self.cut('normalized', flags('normalized', normalizer=nfc),
                 'e\u0301<|im_start|>a', NORMALIZED)

        def prepends(t):
            t.update(characters())
            t['added_tokens'][1]['normalized'] = True
        self.refused('normalized', self.folder(tokens=prepends),
                     "has the flag 'normalized'")
        for scheme, split, ids in METASPACE:
            self.cut(f'Metaspace {scheme} {split}', lambda t: t.update(
                characters({'type': 'Metaspace', 'replacement': '\u2581',
                            'prepend_scheme': scheme, 'split': split})),
                'a<s>a  b a', ids)
        self.refused('two names', self.folder(
            settings={'added_tokens_decoder': {'1': {'content': '<x>'}}}),
            "id 1 is '<x>', but '<|im_start|>'")
        self.refused('an id that is none', self.folder(
            settings={'added_tokens_decoder': {'9999': {'content': '<x>'}}}),
            "token '<x>' has no id below")
        name = self.folder(settings={'add_eos_token': True,
                                     'eos_token': SPECIALS[0]})
        info = json.loads(self.h.clsa('info', '--json', '--vocab',
                                      self.path(name))[1])
        self.h.expect('add_eos_token', info['add_eos'] is True and
                      info['eos'] == 0, info)
        self.refused('add_eos_token without eos', self.folder(
            settings={'add_eos_token': True}), 'there is no eos_token')

    def cut(self, what, change, text, ids):
        """The ids of a text, special tokens too."""
        code, out, err = self.h.clsa(
            'tokenize', '--ids', '-m', self.path(self.folder(tokens=change)),
            text)
        self.h.expect(what + ' is cut', code == 0 and
                      [int(i) for i in out.split()] == ids, out + err)

    def processors(self):
        def special(name):
            return {'SpecialToken': {'id': name, 'type_id': 0}}
        text = {'Sequence': {'id': 'A', 'type_id': 0}}

        def post(*single, wrap=False, ids=(0,)):
            p = {'type': 'TemplateProcessing', 'pair': [], 'single': single,
                 'special_tokens': {SPECIALS[0]: {'id': SPECIALS[0],
                                                  'ids': list(ids)}}}
            if wrap:
                p = {'type': 'Sequence', 'processors': [
                    {'type': 'ByteLevel', 'trim_offsets': True}, p]}
            return lambda t: t.update(post_processor=p)
        first = special(SPECIALS[0])
        for wrap in (False, True):
            name = self.folder(tokens=post(first, text, wrap=wrap),
                               settings=lambda s: s.clear())
            info = self.convert('bos first', name, 'begins every text')
            self.h.expect('bos is added', info.get('add_bos') is True and
                          info['bos'] == 0, info)
        name = self.folder(tokens=post(text), settings=lambda s: s.clear())
        info = self.convert('the text alone', name, '')
        self.h.expect('no bos is added', info.get('add_bos') is False, info)
        for what, change in (
                ('two ends', post(text, special(SPECIALS[0]),
                                  special(SPECIALS[0]))),
                ('two beginnings', post(first, first, text)),
                ('a beginning of two ids', post(first, text, ids=(0, 1))),
                ('no text', post(first)),
                ('Roberta', lambda t: t.update(post_processor={
                    'type': 'RobertaProcessing'}))):
            self.refused(what, self.folder(tokens=change),
                         'tokenizer.json: post_processor')

    def templates(self):
        def case(what, expected, notes='', **parts):
            info = self.convert(what, self.folder(**parts), notes)
            found = {k: v for k, v in info.get('metadata', {}).items()
                     if 'chat_template' in k}
            self.h.expect(what + ' is there', found == expected, found)
        key = 'tokenizer.chat_template'
        one = {key: TEMPLATE}
        named = [{'name': 'tool_use', 'template': 'T'},
                 {'name': 'default', 'template': TEMPLATE}]
        two = {**one, key + '.tool_use': 'T', key + 's': '[1] {tool_use}'}
        jinja = {'chat_template.jinja': '\ufeff' + TEMPLATE}
        folder = self.folder
        case('a template', one, settings=dict(chat_template=TEMPLATE))
        case('a list of templates', two, settings=dict(chat_template=named))
        case('no template', {}, settings=dict(chat_template=None))
        case('a template in a file', one, files=jinja)
        case('a file before a text', one, files=jinja,
             settings=dict(chat_template='old'))
        case('chat_template.json', one, files={
            'chat_template.json': {'chat_template': TEMPLATE}})
        case('no default', {key + '.tool_use': 'T', key + 's':
                            '[1] {tool_use}'}, 'named default',
             settings=dict(chat_template=named[:1]))
        name = folder(files=jinja)
        self.h.write(name + '/additional_chat_templates', 'tool_use.jinja', 'T')
        info = self.convert('files of templates', name, '')
        self.h.expect('files of templates are there', {
            k: v for k, v in info['metadata'].items()
            if 'chat_template' in k} == two, info['metadata'])
        self.refused('a template that is none', folder(
            settings=dict(chat_template=7)), "key 'chat_template' is not")
        self.refused('a template twice', folder(
            settings=dict(chat_template=named + named[:1])), 'is there twice')
        self.refused('a template without a name', folder(
            settings=dict(chat_template=[{'template': 'T'}])),
            'chat_template[0] has no name')
        self.refused('a template that is not UTF-8', folder(
            files={'chat_template.jinja': b'\xff\xfe{'}), 'not a text in UTF-8')

    # ----------------------------------------------------------------- JSON

    def python_json(self):
        text = json.dumps(dict(self.h.own_config(D, L, S, H, G, E),
                               time_limit=[0.0, float('inf')],
                               other=[float('nan'), -float('inf'), 1e308]))
        assert 'Infinity' in text and 'NaN' in text
        name = self.folder(files={
            'config.json': b'\xef\xbb\xbf' + text.encode(),
            'tokenizer.json': b'\xef\xbb\xbf' + json.dumps(
                tokenizer_json()).encode(),
            'tokenizer_config.json':
                '{"model_max_length": 1000000000000000019884624838656, '
                '"x": [-98765432109876543210, 1e400, "NaN \\" Infinity"]}'})
        self.convert('JSON of Python', name,
                     'not known here: time_limit, other')
        self.refused('an integer past all', self.folder(files={
            'config.json': text.replace('"head_dim": 8', '"head_dim": 8' +
                                        '0' * 30)}), "'head_dim' is not an")

    # ---------------------------------------------------------------- files

    def shards(self):
        parts = list(self.weights.items())

        def cut(names):
            step = -(-len(parts) // len(names))
            return {name: dict(parts[i * step:(i + 1) * step])
                    for i, name in enumerate(names)}

        def write(names, index=None, missing=()):
            shards = cut(names)
            files = {name: safetensors(t, 'F16') for name, t in shards.items()
                     if name not in missing}
            if index is not None:
                weight_map = {t: name for name, ts in shards.items()
                              for t in ts}
                weight_map.update(index)
                files['model.safetensors.index.json'] = {
                    'weight_map': weight_map}
            return self.folder(tensors=None,
                               files=files)

        three = ['model-%05d-of-00003.safetensors' % i for i in (1, 2, 3)]
        plain = self.path(self.folder())
        self.h.clsa('convert', '-q', plain, '-o', plain + '.gguf')

        def same(what, name):
            path = self.path(name)
            os.remove(path + '/model.safetensors')
            code, out, err = self.h.clsa('convert', '-q', path, '-o',
                                         path + '.gguf')
            a, b = (clsa_ref.load_gguf(p + '.gguf')[1] if code == 0 else {}
                    for p in (plain, path))
            self.h.expect(what, code == 0 and a.keys() == b.keys() and all(
                np.array_equal(a[k], b[k]) for k in a), err)

        def lost(what, name, *texts):
            os.remove(self.path(name) + '/model.safetensors')
            self.refused(what, name, *texts)
        same('shards with an index', write(three, {}))
        same('shards without an index', write(three))
        lost('a shard that is missing', write(three, missing=three[1:2]),
             three[1] + ': cannot open it')
        lost('the first of them', write(three, missing=three[:1]),
             three[0] + ': cannot open it')
        lost('one of them alone', write(three, missing=three[1:]),
             three[1] + ': cannot open it')
        lost('two sets', write(three[:2] + ['x-00001-of-00001.safetensors']),
             'several safetensors files but no')
        lost('two files', write(['a.safetensors', 'b.safetensors']),
             'several safetensors files but no')
        lost('a tensor that no file has', write(three, {
            'model.layers.7.x.weight': three[2]}),
            "tensor 'model.layers.7.x.weight' is not in " + three[2])
        first = parts[0][0]
        lost('a tensor in another file', write(three, {first: three[2]}),
             f"tensor '{first}' is not in {three[2]}: the files")
        lost('several tensors', write(three, {parts[0][0]: three[2],
                                              parts[1][0]: three[2]}),
             '(nor are 1 others)')

    def zeros(self):
        def zero(name):
            return lambda w: {**w, name: np.zeros_like(w[name])}
        self.convert('a matrix of zeros', self.folder(tensors=zero(
            'model.layers.1.mlp.up_proj.weight')),
            'blk.1.ffn_up.weight: only zeros')
        self.refused('a norm of zeros', self.folder(tensors=zero(
            'model.norm.weight')), "'output_norm.weight' has only zeros")

    def prefixes(self):
        def rename(change):
            return lambda w: {change(k): v for k, v in w.items()}
        for what, change, notes in (
                ('_orig_mod.', lambda k: '_orig_mod.' + k, ''),
                ('module.', lambda k: 'module.' + k, ''),
                ('both', lambda k: 'module._orig_mod.' + k, ''),
                ('inside', lambda k: k.replace('.layers.0.',
                                               '.layers.0._orig_mod.'), ''),
                ('another', lambda k: 'net.student.' + k,
                 "prefix 'net.student.'")):
            self.convert('the prefix ' + what, self.folder(
                tensors=rename(change)), notes)
        self.refused('a name twice', self.folder(tensors=lambda w: {
            **w, 'module.model.norm.weight': w['model.norm.weight']}),
            "'model.norm.weight' appears twice")
        name = self.folder(files={
            'model.safetensors': 'version https://git-lfs.github.com/spec/v1\n'
                                 'oid sha256:0\nsize 7\n'})
        self.refused('a pointer', name, 'model.safetensors: is a pointer of '
                     'Git LFS')
        path = self.path(name)
        code, out, err = self.h.clsa('info', path + '/model.safetensors')
        self.h.expect('a pointer is no model', code == 1 and 'Git LFS' in err,
                      err)

    def outputs(self):
        """No file of the folder is lost, whatever the name of the output."""
        name = self.folder()
        folder = self.path(name)
        os.makedirs(folder + '-blobs')
        for file in os.listdir(folder):  # as in the cache of a hub
            blob = f'{folder}-blobs/{file}'
            os.rename(f'{folder}/{file}', blob)
            os.symlink(os.path.relpath(blob, folder), f'{folder}/{file}')
        blob = folder + '-blobs/model.safetensors'
        os.link(blob, folder + '-hard.gguf')
        os.symlink(blob, folder + '-link.gguf')
        before = open(blob, 'rb').read()
        for out in (folder + '/model.safetensors', folder + '/config.json',
                    folder + '/../' + name + '/tokenizer.json', blob,
                    folder + '-hard.gguf', folder + '-link.gguf'):
            code, _, err = self.h.clsa('convert', folder, '-o', out)
            self.h.expect('an output that is read', code == 2 and
                          'is a file of the model' in err, (out, code, err))
        self.h.expect('it is as it was', open(blob, 'rb').read() == before)
        for _ in range(2):
            code, _, err = self.h.clsa('convert', '-q', folder, '-o',
                                       folder + '/model.gguf')
            self.h.expect('a model in the folder', code == 0, err)
        code, _, err = self.h.clsa('convert', folder, '-o', folder + '-x.gguf',
                                   '--keep', 'blk.9.*=f16')
        self.h.expect('keep of nothing', code == 2 and
                      'matches the name of no matrix' in err and
                      not os.path.exists(folder + '-x.gguf'), err)


def rope(**parameters):
    """A change of the configuration to that of transformers 5."""
    top = {k: parameters.pop(k) for k in ('cross_decoder_rope',)
           if k in parameters}

    def change(config):
        del config['rope_theta']
        config.update(top, rope_parameters=parameters)
    return change


def llama3(base, e, factor, low, high, original):
    """What angles are divided by, as MODELS of the family define it."""
    values = []
    for i in range(e // 2):
        length = 2 * np.pi * base ** (2 * i / e)
        smooth = (original / length - low) / (high - low)
        values.append(1.0 if length < original / high else
                      factor if length > original / low else
                      1 / ((1 - smooth) / factor + smooth))
    return np.array(values)


def run(h, weights):
    c = Cases(h, weights)
    c.angles()
    c.keys()
    c.presence()
    c.ends()
    c.all_end()
    c.tokens()
    c.processors()
    c.templates()
    c.python_json()
    c.shards()
    c.prefixes()
    c.zeros()
    c.outputs()
