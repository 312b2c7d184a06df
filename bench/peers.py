#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peers.py: clsa beside other engines, with the same model files.

    bench/peers.py [OPTION]... CLSA MODEL...

CLSA is the program; each --peer NAME=FOLDER[,ARGUMENT...] is the folder of an
engine with the programs llama-bench and llama-perplexity of llama.cpp, and what
llama-bench is to be given besides (one that is to be measured with two settings
is given twice). Programs take turns, all for one measurement, then all for the
next round. A run counts only if nothing else used the CPUs meanwhile: the time
that /proc/stat counts beyond that of the program is at most 3 percent, or it is
run again, up to five times.

Decoding is measured at --depths tokens, prompts of --prompts tokens; with --text
the perplexity of a text in chunks of 2048 tokens; always the largest resident
memory. Results go to --json as they come, where a later call goes on, and as a
table and a chart to --page FILE.md and the same name in .svg (gnuplot).
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

DISTURBED = 0.03  # of all CPUs' time
TRIES = 5
STEPS = 64  # tokens that are generated in a run


def cpu_seconds():
    """The time that all CPUs have worked, or were taken from this machine."""
    with open('/proc/stat', encoding='ascii') as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


def run(words):
    """Output, seconds that others took as a share, and resident bytes."""
    busy, start = cpu_seconds(), time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f'exit status {process.returncode}')
    wall = time.monotonic() - start
    others = cpu_seconds() - busy - usage.ru_utime - usage.ru_stime
    return out.decode(), others / (wall * os.cpu_count()), \
        usage.ru_maxrss * 1024


class Clsa:
    """clsa bench and clsa eval; attention to all rows, as the others have."""
    name = 'clsa'

    def __init__(self, program, threads):
        self.program, self.threads = program, ['-t', str(threads)]

    def words(self, what, size, model):
        start = [self.program, 'bench']
        if what == 'decode':
            return start + ['decode', '-m', model, '--attention', 'dense',
                            '--depth', str(size), '--steps', str(STEPS),
                            '--json', '-q'] + self.threads
        return start + ['prefill', '-m', model, '--tokens', str(size),
                        '--json', '-q'] + self.threads

    @staticmethod
    def rate(out):
        return json.loads(out)[0]['tokens_per_s']

    @staticmethod
    def resident(out, most):
        """Without the memory that is read to measure the machine."""
        return min(most, json.loads(out)[0]['rss_mib'] * 1048576)

    def perplexity(self, model, text):
        words = [self.program, 'eval', 'perplexity', '-q', '-m', model,
                 '--file', text, '-c', '2048', '--positions', 'chunk',
                 '--attention', 'dense'] + self.threads
        return float(run(words)[0].split()[-1])


class Peer:
    """llama-bench and llama-perplexity of a folder."""

    def __init__(self, text, threads):
        self.name, rest = text.split('=', 1)
        self.folder, *self.arguments = rest.split(',')
        self.threads = ['-t', str(threads)]
        options = subprocess.run(
            [os.path.join(self.folder, 'llama-bench'), '--help'],
            capture_output=True, text=True, check=False)
        self.has_depth = '--n-depth' in options.stdout + options.stderr

    def words(self, what, size, model):
        words = [os.path.join(self.folder, 'llama-bench'), '-m', model, '-r',
                 '1', '-o', 'json'] + self.threads + self.arguments
        if what == 'prompt':
            return words + ['-p', str(size), '-n', '0']
        if self.has_depth:
            return words + ['-p', '0', '-n', str(STEPS), '-d', str(size)]
        return words + ['-p', '0', '-n', '0', '-gp', f'{size},{STEPS}']

    @staticmethod
    def rate(out):
        return json.loads(out[out.index('['):])[-1]['avg_ts']

    @staticmethod
    def resident(_out, most):
        return most

    def perplexity(self, model, text):
        words = [os.path.join(self.folder, 'llama-perplexity'), '-m', model,
                 '-f', text, '-c', '2048'] + self.threads
        out = subprocess.run(words, capture_output=True, text=True, check=True)
        found = re.search(r'PPL = ([0-9.]+)', out.stdout + out.stderr)
        return float(found.group(1))


def undisturbed(engine, what, size, model):
    """Tokens a second and resident bytes, or None."""
    for _ in range(TRIES):
        out, others, resident = run(engine.words(what, size, model))
        if others <= DISTURBED:
            return engine.rate(out), engine.resident(out, resident)
        print(f'  {engine.name}: others took {100 * others:.0f} %, again',
              file=sys.stderr)
    return None


def measure(results, key, engines, what, size, model, rounds):
    """All engines in turns; `results` gets lists of what counted."""
    for turn in range(rounds):
        for engine in engines:
            place = results.setdefault(key, {}).setdefault(
                engine.name, {'rates': [], 'resident': 0})
            if 'failed' in place or len(place['rates']) > turn:
                continue
            try:
                one = undisturbed(engine, what, size, model)
            except (RuntimeError, ValueError, KeyError, IndexError) as error:
                place['failed'] = str(error)
                continue
            if one:
                place['rates'].append(one[0])
                place['resident'] = max(place['resident'], one[1])
                print(f'{key} {engine.name}: {one[0]:.1f} tokens/s',
                      file=sys.stderr)


def rate_of(place):
    return statistics.median(place['rates']) if place['rates'] else None


def cell(place):
    rate = rate_of(place)
    if rate is None:
        return place.get('failed', 'disturbed')
    return f'{rate:.1f}'


def best_ratio(places):
    """clsa over the fastest of the others."""
    mine = rate_of(places['clsa'])
    others = [rate_of(p) for n, p in places.items() if n != 'clsa']
    others = [rate for rate in others if rate]
    return f'{mine / max(others):.2f}' if mine and others else '-'


def cpu_name():
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        for line in file:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor()


def page(results, names, arguments):
    """Markdown of all results."""
    lines = ['# clsa beside other engines', '',
             f'Written by `bench/peers.py` on {time.strftime("%d %B %Y")}: '
             f'{cpu_name()}, {arguments.threads} threads. Tokens a second, '
             f'medians of {arguments.rounds} runs that nothing else disturbed, '
             'in turns; `clsa` attends to all rows, as the others do. Decoding '
             'after so many tokens, prompts of so many.', '']
    for peer in arguments.peer:
        lines.append(f'- `{peer.split("=")[0]}`: '
                     f'{" ".join(peer.split(",")[1:]) or "default settings"}')
    for path in arguments.models:
        model = os.path.basename(path)
        lines += ['', f'## {model}', '',
                  '| | ' + ' | '.join(names) + ' | clsa / best |',
                  '|---|' + '---|' * (len(names) + 1)]
        for key, places in results['rates'].items():
            of, what = key.split(' ', 1)
            if of == model:
                lines.append(f'| {what} | ' + ' | '.join(
                    cell(places[name]) for name in names) +
                    f' | {best_ratio(places)} |')
        most = {name: max((p[name]['resident'] for k, p in
                           results['rates'].items() if k.startswith(model)),
                          default=0) for name in names}
        lines.append('| resident, MiB | ' + ' | '.join(
            f'{most[name] / 1048576:.0f}' for name in names) + ' | |')
        known = results['perplexity'].get(model)
        if known:
            lines.append('| perplexity | ' + ' | '.join(
                str(known.get(name, '-')) for name in names) + ' | |')
    return lines + ['']


def draw(results, names, path):
    """Bars of clsa over the best other engine."""
    rows = [(key, best_ratio(places)) for key, places in
            results['rates'].items()]
    rows = [(key, ratio) for key, ratio in rows if ratio != '-']
    if not rows:
        return
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as data:
        for key, ratio in rows:
            data.write(f'"{key}" {ratio}\n')
        data.flush()
        script = f'''set terminal svg size 900,{120 + 24 * len(rows)} font ",12"
set output "{path}"
set title "Tokens a second: clsa over the best of {', '.join(names[1:])}"
set style fill solid 0.6
set boxwidth 0.7
set xrange [0:*]
set yrange [{len(rows) - 0.3}:-0.7]
set grid x
set arrow from 1, graph 0 to 1, graph 1 nohead
unset key
plot "{data.name}" using ($2/2):0:($2/2):(0.35):ytic(1) with boxxyerror
'''
        subprocess.run(['gnuplot'], input=script, text=True, check=True)


def arguments_of():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('clsa')
    parser.add_argument('models', nargs='+', metavar='MODEL')
    parser.add_argument('--peer', action='append', default=[])
    parser.add_argument('-t', '--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--depths', default='256,8192')
    parser.add_argument('--prompts', default='512,4096')
    parser.add_argument('--text')
    parser.add_argument('--json', default='peers.json')
    parser.add_argument('--page')
    return parser.parse_args()


def main():
    arguments = arguments_of()
    engines = [Clsa(arguments.clsa, arguments.threads)] + [
        Peer(text, arguments.threads) for text in arguments.peer]
    names = [engine.name for engine in engines]
    results = {'rates': {}, 'perplexity': {}}
    if os.path.exists(arguments.json):
        with open(arguments.json, encoding='utf-8') as file:
            results = json.load(file)

    def save():
        with open(arguments.json, 'w', encoding='utf-8') as file:
            json.dump(results, file, indent=1)

    tests = [('decode', int(n)) for n in arguments.depths.split(',') if n]
    tests += [('prompt', int(n)) for n in arguments.prompts.split(',') if n]
    for path in arguments.models:
        model = os.path.basename(path)
        for what, size in tests:
            measure(results['rates'], f'{model} {what} {size}', engines, what,
                    size, path, arguments.rounds)
            save()
        for engine in engines if arguments.text else []:
            known = results['perplexity'].setdefault(model, {})
            if engine.name not in known:
                known[engine.name] = engine.perplexity(path, arguments.text)
                save()
    lines = page(results, names, arguments)
    if not arguments.page:
        print('\n'.join(lines))
        return
    chart = os.path.splitext(arguments.page)[0] + '.svg'
    draw(results, names, chart)
    lines.insert(4, f'![ratios]({os.path.basename(chart)})\n')
    with open(arguments.page, 'w', encoding='utf-8') as file:
        file.write('\n'.join(lines))


if __name__ == '__main__':
    main()
