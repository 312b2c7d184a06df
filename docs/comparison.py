#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""comparison.py: runs the comparisons and writes docs/comparison.md of them.

    docs/comparison.py [--run NAME,...] [--threads N] [WORK]

Runs the commands of STEPS that have no result in the folder WORK yet (default:
comparison, in the current folder), or those of --run (`none`: no one), and
writes the page and its plots beside this script. Environment: CLSA, the program
(default ./clsa); CLSA_SHARED, the folder with eval/ (default ../shared beside
the sources). What is timed wants a machine that does nothing else: quality and
speed are steps of their own, so that they can be run at different times.
"""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
MODEL = 'models/clsa-tiny-q8_0.gguf'
TEXT = 'eval/books/shirley.txt'
EACH = 'dense,clsa:512,token:512,reuse:512:2,blocks:512:32,longformer:448:64,'\
       'bigbird:320:64:128,sink:512,window:512'

# Name, whether it is timed, and the words after `clsa`.
STEPS = [
    ('loss', False, ['eval', 'compare', '-m', MODEL, '--file', TEXT,
                     '--contexts', '2K,8K,32K', '--windows', '1',
                     '--budgets', '128,256,512', '--plot',
                     'docs/comparison-quality.svg']),
    ('needles', False, ['eval', 'compare', '-m', MODEL,
                        '--needles', 'eval/needles-2k.jsonl',
                        '--needles', 'eval/needles-8k.jsonl']),
    ('needles-32k', False, ['eval', 'compare', '-m', MODEL, '--needles',
                            'eval/needles-32k.jsonl', '--attention', EACH]),
    ('needles-128k', False, ['eval', 'compare', '-m', MODEL, '--needles',
                             'eval/needles-128k.jsonl', '--attention',
                             'dense,clsa:512,token:512,sink:512,window:512']),
    ('amortised', True, ['bench', 'compare', '--shape', '1b', '--type', 'q4_0',
                         '--depth', '32K', '--steps', '20', '--attention',
                         'dense,clsa:512,token:512,reuse:512:2,'
                         'blocks:512:32,h2o:512']),
    ('context', True, ['bench', 'compare', '-m', MODEL, '--depth',
                       '1K,4K,16K,64K,128K', '--plot', 'docs/comparison']),
    ('batch', True, ['bench', 'compare', '--shape', '1b', '--type', 'q4_0',
                     '--depth', '128K', '--batch', '1,8', '--attention',
                     'dense,clsa:2048', '--plot', 'docs/comparison-1b']),
]


def words(step, shared, threads):
    """The command as it is run: files of the project and of `shared`."""
    def place(word):
        if word.startswith('eval/'):
            return os.path.join(shared, word)
        if word.startswith(('models/', 'docs/')):
            return os.path.join(TOP, word)
        return word
    more = ['-t', str(threads)] if threads else []
    return [place(w) for w in step[2]] + more + ['-q', '--json']


def shown(step):
    return 'clsa ' + ' '.join(step[2])


def processor():
    try:
        with open('/proc/cpuinfo') as f:
            for line in f:
                if line.startswith('model name'):
                    return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def run(step, work, program, shared, threads):
    print('running', step[0], file=sys.stderr)
    out = subprocess.run([program] + words(step, shared, threads), check=True,
                         stdout=subprocess.PIPE).stdout
    result = {'date': datetime.date.today().isoformat(),
              'cpu': processor(), 'cores': os.cpu_count(),
              'command': shown(step), 'results': json.loads(out)}
    path = os.path.join(work, step[0] + '.json')
    with open(path + '.part', 'w') as f:
        json.dump(result, f, indent=1)
    os.replace(path + '.part', path)


def load(step, work):
    """What a step has given, or None; of another command: an error."""
    path = os.path.join(work, step[0] + '.json')
    if not os.path.exists(path):
        return None
    with open(path) as f:
        result = json.load(f)
    if result['command'] != shown(step):
        sys.exit(f'{path}: belongs to another command, remove it')
    return result


# ------------------------------------------------------------------ tables

def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |',
             '|' + '|'.join('---' if i == 0 else '---:'
                            for i in range(len(head))) + '|']
    return lines + ['| ' + ' | '.join(r) + ' |' for r in rows] + ['']


def pivot(results, key, columns, form):
    """Policies by columns; `form` makes a cell of an object."""
    names = list(dict.fromkeys(r['policy'] for r in results))
    found = {(r['policy'], r[key]): r for r in results}
    return [[f'`{n}`'] + [form(found[n, c]) if (n, c) in found else '-'
                          for c in columns] for n in names]


def in_order(results, key):
    return list(dict.fromkeys(r[key] for r in results))


def loss_table(results):
    contexts = in_order(results, 'context')

    def form(r):
        if r['budget'] is None:
            return f"{r['loss']:.4f}"
        return f"{r['minus_dense']:+.4f}"
    return table(['policy'] + [f'{c} tokens' for c in contexts],
                 pivot(results, 'context', contexts, form))


def needle_table(results):
    contexts = in_order(results, 'context')
    return table(['policy'] + [f'{c} tokens' for c in contexts],
                 pivot(results, 'context', contexts,
                       lambda r: f"{r['recalled']} of {r['asked']}"))


def share(r):
    """What is reached of the roofline; None: its peaks were disturbed."""
    part = r['roofline_share']
    return '-' if part is None else f'{part:.2f}'


def speed_table(results):
    head = ['policy', 'depth', 'batch', 'ms per step', 'routing ms',
            'attention ms', 'tokens/s', 'of roofline', 'MiB read',
            'MiB searched', 'MiB state']
    return table(head, [[f"`{r['policy']}`", str(r['depth']), str(r['batch']),
                         f"{r['ms']:.2f}", f"{r['routing_ms']:.3f}",
                         f"{r['attention_ms']:.3f}",
                         f"{r['tokens_per_s']:.1f}",
                         share(r), f"{r['mib_read']:.1f}",
                         f"{r['mib_searched']:.1f}",
                         f"{r['mib_state']:.1f}"] for r in results])


def ratios(results):
    """Throughput of each policy over that of dense, by depth and batch."""
    lines = []
    for r in results:
        for d in results:
            if (d['policy'], d['depth'], d['batch']) == \
                    ('dense', r['depth'], r['batch']) and r is not d:
                twice = d['ms'] + d['attention_ms']
                lines.append(
                    f"- {r['depth']} tokens, batch {r['batch']}: "
                    f"`{r['policy']}` decodes {d['ms'] / r['ms']:.1f} times as "
                    f"fast as `dense` (at {share(d)} of its "
                    f"roofline), {d['roofline_ms'] / r['ms']:.1f} times as "
                    f"fast as the roofline of `dense`, and "
                    f"{twice / r['ms']:.1f} times as fast as `dense` with "
                    f"twice the attention.")
    return lines + ['']


ABOUT = {
    'loss': ('Loss', 'Loss of `dense` in nats per token over the last 1024 '
             'tokens of a window, and the difference of the other policies to '
             'it, all at the same positions.'),
    'needles': ('Needles recalled, all policies', ''),
    'needles-32k': ('Needles recalled from 32K', ''),
    'needles-128k': ('Needles recalled from 128K', ''),
    'amortised': ('Routing once or per layer', 'Routing means selecting '
                  'and copying rows, attention means reading them, both in '
                  'all layers together. Rows are random, so every selection '
                  'is a new one.'),
    'context': ('Time over the length of the context', ''),
    'batch': ('Throughput over the batch', 'A transformer has a cache for '
              'each layer and attends in all layers, not in half of them. '
              'The last number is an estimate for it: `dense` with twice the '
              'attention.'),
}


ABOVE_ONE = ('A share above 1 is not an error: `of roofline` counts bytes at '
             'the speed of a plain read loop, which is measured once, at the '
             'beginning. Loads that are mixed with arithmetic can read memory '
             'faster ([RESULTS.md](../bench/RESULTS.md)), and the memory speed '
             'of a shared machine changes.')


def section(step, result):
    title, text = ABOUT[step[0]]
    lines = [f'## {title}', '']
    if text:
        lines += [text, '']
    if result is None:
        return lines + [f'Not run yet: `{shown(step)}`.', '']
    lines += [f"{result['date']}, {result['cpu']}, {result['cores']} cores:",
              '', '    ' + result['command'], '']
    results = result['results']
    if step[0] == 'loss':
        lines += loss_table(results)
    elif step[0].startswith('needles'):
        lines += needle_table(results)
    else:
        first = results[0]
        lines += [f"Level {first['simd']}, {first['threads']} threads, weights "
                  f"{first['type']}, cache {first['kv_type']}; memory gives "
                  f"{first['read_gbs']:.1f} GB/s.", '']
        lines += speed_table(results)
        if any((r['roofline_share'] or 0) > 1 for r in results):
            lines += [ABOVE_ONE, '']
        lines += ratios(results) if step[0] == 'batch' else []
    for plot in plots(step):
        if os.path.exists(os.path.join(HERE, plot)):
            lines += [f'![{title}]({plot})', '']
    return lines


def plots(step):
    if '--plot' not in step[2]:
        return []
    name = os.path.basename(step[2][step[2].index('--plot') + 1])
    if step[0] == 'context':
        return [name + '-context.svg']
    return [name] if name.endswith('.svg') else [name + '-batch.svg']


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('work', nargs='?', default='comparison')
    parser.add_argument('--run')
    parser.add_argument('--threads', type=int)
    args = parser.parse_args()
    names = args.run.split(',') if args.run else None
    program = os.path.abspath(os.environ.get('CLSA', './clsa'))
    shared = os.environ.get('CLSA_SHARED', os.path.join(TOP, '..', 'shared'))
    os.makedirs(args.work, exist_ok=True)
    for step in STEPS:
        there = os.path.exists(os.path.join(args.work, step[0] + '.json'))
        if step[0] in names if names else not there:
            run(step, args.work, program, shared, args.threads)
    page = ['# Attention policies compared', '',
            'Written by `docs/comparison.py`; do not edit. clsa(7) defines '
            'the policies, clsa-eval(1) and clsa-bench(1) the columns.',
            'Files in `eval/` are held-out books and contexts with needles '
            '(facts to recall), which are not part of the project.', '']
    for step in STEPS:
        page += section(step, load(step, args.work))
    with open(os.path.join(HERE, 'comparison.md'), 'w') as f:
        f.write('\n'.join(page).rstrip('\n') + '\n')


if __name__ == '__main__':
    main()
