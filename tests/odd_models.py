# SPDX-License-Identifier: Apache-2.0
"""odd_models: files of tests/data that open, or are parts of models that do,
but of which something has to be said.

`odd_models()` -> {file name: (bytes, what it is)}.
"""
from gguf_file import (I32, STR, U16, Network, container, encode, info, key)

PARTS = 3


def part(net, names, keys, number, tensors, count=PARTS):
    """One part of a model: some of its tensors, with the keys of a split."""
    infos, data = [], b''
    for name in names:
        kind, x = net.tensors[name]
        infos.append(info(name, x.shape[::-1], kind, len(data)))
        data += encode(kind, x)
        data += b'\0' * (-len(data) % 32)
    split = {'split.no': (U16, number), 'split.count': (U16, count),
             'split.tensors.count': (I32, tensors)}
    return container([key(name, *value) for name, value in
                      {**keys, **split}.items()], infos, data)


def parts():
    """The model good-clsa: the first part has keys only, as gguf-split can
    write it."""
    net = Network('good-clsa')
    names, files = list(net.tensors), {}
    half = len(names) // 2
    lists = [], names[:half], names[half:]
    for i in range(PARTS):
        files['split-%05d-of-%05d.gguf' % (i + 1, PARTS)] = (
            part(net, lists[i], net.keys if i == 0 else {}, i, len(names)),
            f'part {i + 1} of good-clsa.gguf')
    return files


def odd_models():
    files = parts()
    net = Network('zero')
    for name in ('blk.1.ffn_up.weight', 'token_embd.weight'):
        net.tensors[name][1][:] = 0
    files['zero.gguf'] = net.pack(), 'two matrices of zeros only'
    net = Network('control')
    net.keys['general.name'] = STR, 'red \x1b[31m\ntwo\u009b\x07'
    net.keys['general.\x1b]0;title'] = STR, 'tab\there'
    files['control.gguf'] = net.pack(), 'control characters in its keys'
    net = Network('nan')
    net.tensors['blk.3.ffn_down.weight'][1][2, 5] = float('nan')
    files['nan.gguf'] = net.pack(), 'a NaN among the weights: no logits'
    net = Network('nan-row', tied=False)
    net.tensors['output.weight'][1][0] = float('nan')
    files['nan-row.gguf'] = net.pack(), 'the logit of token 0 is NaN'
    return files
