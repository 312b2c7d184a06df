#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compare clsa chat-template with Jinja on random expressions.

jinja_compare.py CLSA [COUNT [SEED]]: by hand, with jinja2 3.1 from PyPI. The
environment is that of chat templates. What Jinja refuses may be refused or
not; what it writes has to be written, or refused for a limit that the manual
names (integers of 64 bits). Exit status 1 if there is a difference.
"""

import copy
import json
import random
import subprocess
import sys
import warnings

import jinja2.ext
import jinja2.sandbox

VALUES = {
    "s": "The Lamp, the lamp\nand  the ÉTÉ ",
    "e": "",
    "n": 7,
    "m": -3,
    "f": 2.5,
    "l": [3, 1, 2, 1],
    "w": ["pear", "Fig", "apple", "fig"],
    "d": {"b": 1, "a": [1, {"x": None}], "B": "q'\"u"},
    "r": [{"k": 2, "v": "x"}, {"k": 1, "v": "Y"}, {"k": 2}],
    "t": True,
    "z": None,
}
LITERALS = ["0", "1", "2", "-1", "10", "1.5", "0.1", "1e20", "1e-7", "'a'",
            "'the'", "' '", "'\\n'", "''", "'éß'", "true", "none", "[]", "{}",
            "[1, 'a', none]", "(1, 2)", "{'a': 1, 2: 'b'}", "range(4)", "u",
            "'a,b,,c'", "'-12'", "' 3.5 '", "'1'"]
FILTERS = ["abs", "batch(2)|list", "capitalize", "center(9)", "count",
           "default('D')", "d('D', true)", "dictsort", "escape", "first",
           "float", "indent(2)", "indent(1, true, blank=true)", "int",
           "int(5)", "items|list", "join", "join('-')", "last", "length",
           "list", "lower", "map('upper')|list", "map(attribute='k')|list",
           "map('string')|join('+')", "max", "min", "reject|list",
           "reject('none')|list", "rejectattr('v')|list", "replace('a', 'zz')",
           "replace('e', '', 1)", "reverse|list", "round", "round(1)",
           "round(1, 'floor')", "safe", "select|list",
           "select('string')|list", "selectattr('k', 'eq', 2)|list", "slice(2)|list",
           "sort", "sort(reverse=true)", "sort(case_sensitive=true)", "string",
           "sum", "title", "tojson", "tojson(indent=2)", "trim", "trim('a')",
           "truncate(9)", "truncate(8, true, '..', 0)", "unique|list", "upper",
           "wordcount", "groupby('k')|list", "sort(attribute='k')",
           "tojson(sort_keys=true, separators=(',', ':'))", "forceescape",
           "select", "reverse", "sum(attribute='k')", "map('default', 1)|list"]
TESTS = ["boolean", "callable", "defined", "divisibleby(2)", "eq(1)", "even",
         "false", "float", "ge(1)", "in([1, 'a'])", "integer", "iterable",
         "lower", "lt 3", "mapping", "ne 'a'", "none", "number", "odd",
         "sameas(none)", "sequence", "string", "true", "undefined", "upper"]
METHODS = ["upper()", "lower()", "title()", "capitalize()", "strip()",
           "lstrip('T ')", "rstrip()", "split()", "split(',')",
           "split('e', 1)", "rsplit(' ', 1)", "rsplit(none, 2)",
           "splitlines()", "replace('a', 'b')", "replace('', '.', 2)",
           "startswith('T')", "startswith(('x', 'T'))", "endswith('e')",
           "find('a')", "rfind('a')", "find('a', 5)", "count('a')",
           "join(['x', 'y'])", "isdigit()", "isalpha()", "isspace()",
           "zfill(5)", "center(7, '*')", "ljust(4)", "rjust(4, '0')",
           "partition(',')", "rpartition(' ')", "removeprefix('T')",
           "removesuffix(' ')", "swapcase()", "items()|list", "keys()|list",
           "values()|list", "get('a')", "get('q', 5)", "index(1)", "count(1)",
           "copy()", "isupper()", "islower()", "isalnum()", "format(1, 2)"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=",
          ">", ">=", "in", "not in", "and", "or"]
SLICES = ["[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[::2]", "[-3:-1]",
          "['a']", ".a", ".b", "[1]", ".x", "[5:1:-2]", "['items']", ".0"]


def expression(rng, depth):
    """A random expression of this depth at most."""
    kind = rng.random()
    if depth == 0 or kind < 0.12:
        return rng.choice(LITERALS + list(VALUES) * 3)
    inner = expression(rng, depth - 1)
    if kind < 0.30:
        return f"({inner})|{rng.choice(FILTERS)}"
    if kind < 0.40:
        return f"({inner} is {rng.choice(['', 'not '])}{rng.choice(TESTS)})"
    if kind < 0.55:
        return f"({inner}).{rng.choice(METHODS)}"
    if kind < 0.65:
        return f"({inner}){rng.choice(SLICES)}"
    if kind < 0.70:
        return f"{rng.choice(['not ', '-', '+'])}({inner})"
    other = expression(rng, depth - 1)
    if kind < 0.75:
        return f"({inner} if {other} else {expression(rng, depth - 1)})"
    if kind < 0.80:
        return f"[{inner}, {other}]"
    if kind < 0.84:
        return f"({inner} < {other} <= {expression(rng, 0)})"
    return f"({inner} {rng.choice(BINARY)} {other})"


def statement(rng):
    """A random template around random expressions."""
    a, b = expression(rng, 3), expression(rng, 2)
    return rng.choice([
        "{{ %s }}", "{{ %s }}|{{ %s }}", "{%% set x = %s %%}{{ x }}{{ x is defined }}",
        "{%% for i in %s %%}{{ loop.index }}:{{ i }}{%% if not loop.last %%},"
        "{%% endif %%}{%% else %%}empty{%% endfor %%}",
        "{%% if %s %%}yes{%% elif %s %%}else{%% else %%}no{%% endif %%}",
        "{%% for i in %s if i %%}{{ loop.previtem }}<{{ i }}>{{ loop.revindex }}"
        "{%% endfor %%}",
        "{%% macro p(q, o=%s) %%}[{{ q }}{{ o }}]{%% endmacro %%}{{ p(%s) }}",
        "{%% set ns = namespace(v=%s) %%}{%% for i in l %%}{%% set ns.v = i %%}"
        "{%% if i == 2 %%}{%% break %%}{%% endif %%}{%% endfor %%}{{ ns.v }}",
        " {%%- set y %%} %s {{ %s }} {%% endset -%%} {{ y }}",
        "{%% for a, b in (%s)|items %%}{{ a }}={{ b }};{%% endfor %%}",
        "{%% filter upper|trim %%} {{ %s }} {%% endfilter %%}",
        "{%% with x = %s, y = %s %%}{{ x }}{{ y }}{%% endwith %%}{{ x }}",
        "{%% call(q) c(%s) %%}<{{ q }}>{%% endcall %%}",
    ]).replace("%%", "\0").replace("%s", a, 1).replace("%s", b).replace("\0", "%")


PREFIX = ("{%- macro c(v) -%}({{ caller(v) }}){%- endmacro -%}")


def environment():
    """Jinja as chat templates have it."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None,
               sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                          separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    return env


def expected(env, template):
    """What Jinja writes, or None if it refuses, or it shows an address."""
    try:
        text = env.from_string(template).render(messages=[], tools=None,
                                                **copy.deepcopy(VALUES))
        text.encode()
    except Exception:  # whatever Python raises
        return None
    shown = ("object", "dict_", "<", "Undefined", "method")
    return None if "0x" in text or any(x in text for x in shown) else text


def main():
    """Exit status 0 if there is no difference."""
    clsa, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rng, env = random.Random(seed), environment()
    request = json.dumps({"messages": [], "options": VALUES})
    warnings.simplefilter("ignore")
    same = refused = different = 0
    for _ in range(count):
        for _ in range(1 if rng.random() < 0.1 else 50):  # few are refused
            template = PREFIX + statement(rng)
            want = expected(env, template)
            if want is not None:
                break
        with open("/tmp/jinja_compare.txt", "w", encoding="utf-8") as f:
            f.write(template)
        run = subprocess.run(
            [clsa, "chat-template", "--template", f.name], check=False,
            input=request.encode(), capture_output=True)
        have = run.stdout.decode() if run.returncode == 0 else None
        if run.returncode not in (0, 1):
            print(f"exit status {run.returncode}: {template}")
            different += 1
        elif want is None:
            refused += have is None
        elif want == have or b"past 64 bits" in run.stderr:
            same += 1
        else:
            different += 1
            print(f"{template}\n  Jinja {want!r}\n  clsa  {have!r} "
                  f"{run.stderr.decode().strip()}")
    print(f"{count} templates: {same} the same, {refused} refused by both, "
          f"{different} different")
    return different > 0


if __name__ == "__main__":
    sys.exit(main())
