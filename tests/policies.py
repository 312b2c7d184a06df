#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policies.py: every policy on the trained model, against clsa_ref.py.

    python3 tests/policies.py CLSA MODEL TEXT

Reads the first 700 tokens of a text with the program CLSA, cache and index keys
in F32, under each policy, and compares the rows of each layer and the logits
with those of the reference. Prints a line for each; exit status 1 when one
differs.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'reference'))
import clsa_ref  # noqa: E402

TOKENS = 700
POLICIES = ('dense', 'clsa', 'clsa:64', 'window:200', 'sink:64', 'token:64',
            'reuse:64:2', 'longformer:48:16', 'bigbird:96:32:128',
            'blocks:128:16', 'h2o:64', 'anchors:64:7,9')
BOUND = 1e-3  # of the largest logit
GAP = 1e-5    # a choice this close may go either way


def engine(clsa, model, ids, policy, folder):
    """-> rows of each layer, logits"""
    names = [os.path.join(folder, n) for n in ('ids', 'out', 'rows')]
    with open(names[0], 'w') as f:
        json.dump([ids], f)
    subprocess.run([clsa, 'eval', 'logits', '-q', '-m', model, '--ids',
                    names[0], '-o', names[1], '--rows', names[2], '--kv-type',
                    'f32', '--index-type', 'f32', '--attention', policy],
                   check=True)
    with open(names[2]) as f:
        rows = json.load(f)[0]
    if not isinstance(rows[0], list):
        rows = [rows]
    return rows, np.fromfile(names[1], '<f4').astype(np.float64)


def compare(reference, clsa, path, ids, policy, folder):
    rows, logits = engine(clsa, path, ids, policy, folder)
    want, lists = reference.logits(ids, policy=policy, want_rows=True)
    lists = lists[0] if isinstance(lists[0], list) else lists
    lists = [[int(r) for r in one] for one in lists]
    apart = np.abs(logits - want[0]).max() / np.abs(want[0]).max()
    same = rows == lists
    good = same and apart <= BOUND
    print(f'{policy}: {len(rows)} lists of rows '
          f'{"the same" if same else "DIFFER"}, logits {apart:.1e} apart, '
          f'closest choice {reference.gap:.1e}')
    if not same and reference.gap < GAP:
        print(f'{policy}: but a choice is too close to tell')
        return True
    return good


def main():
    clsa, path, text = sys.argv[1:]
    said = subprocess.run([clsa, 'tokenize', '-q', '--ids', '-m', path, '-f',
                           text], check=True, stdout=subprocess.PIPE).stdout
    ids = [int(i) for i in said.split()][:TOKENS]
    reference = clsa_ref.Model(path)
    with tempfile.TemporaryDirectory() as folder:
        good = [compare(reference, clsa, path, ids, p, folder)
                for p in POLICIES]
    sys.exit(not all(good))


if __name__ == '__main__':
    main()
