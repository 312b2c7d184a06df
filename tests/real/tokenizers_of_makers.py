#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Token ids beside the library `tokenizers` of PyPI, for vocabularies of
people's models and texts that are made here.

usage: tokenizers_of_makers.py CLSA GOLDEN_TOK [--texts N] [--seed S] [NAME...]

Each vocabulary of GOLDEN_TOK (golden-tok of the shared folder) becomes a folder
with a tokenizer.json, which both read, as it is, with random flags of its added
tokens and with the step Metaspace; clsa also reads the GGUF file. The texts:
every assigned character, alone and between others; texts without repetition of
words of many scripts, numbers, code, spaces and marks, also decomposed; special
tokens with what may stand beside them. Python packages: tokenizers. Prints a
line for each vocabulary; exit status 1 if ids differ, 77: no such package or no
vocabularies (SKIP).
"""
import argparse
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "golden"))
import tokenizer_json  # noqa: E402

SHOWN = 3  # texts of a vocabulary that are printed
SPACES = [" ", "  ", "\n", "\n\n", "\t", "\r\n", " \n ", "\u00a0", "\u3000",
          "   ", "\u2028", "\u0085", "\v", "    \n"]
CODE = ["if (x == 0x1F) {", "return -1;", "def f(a, b=None):", "a->b[i] += 1;",
        "https://a.example/b?c=d&e=%20", "C:\\tmp\\x.txt", "<div class=\"a\">",
        "$ ls -la | grep x", "1e-5", "f'{x!r}'", "// TODO", "#include <a.h>",
        "`code`", "**bold**", "don't", "We'LL", "it's", "I'd've", "O'Neil's"]
EMOJI = ["\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
         "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\U0001f44d\U0001f3fd", "©"]


def assigned():
    """Characters that Python's Unicode has, without marks that the library's
    older tables of NFC put into another order (75 beside Unicode 14)."""
    from tokenizers.normalizers import NFC
    library = NFC().normalize_str

    def same(c):
        return all(library(t) == unicodedata.normalize("NFC", t) for t in
                   ("a" + c + "\u0327", "a\u0301" + c)) \
            if unicodedata.combining(c) else True
    return [chr(c) for c in range(1, 0x110000)
            if not 0xd800 <= c < 0xe000 and
            unicodedata.category(chr(c)) not in ("Cn", "Co") and same(chr(c))]


def letters_by_script(characters):
    """Letters and marks that belong together, by the first word of their
    names."""
    scripts = {}
    for c in characters:
        if unicodedata.category(c)[0] in "LM":
            name = unicodedata.name(c, "NONE").split()[0]
            scripts.setdefault(name, []).append(c)
    return [s for s in scripts.values() if len(s) >= 5]


class Writer:
    """Texts that do not repeat."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.characters = assigned()
        self.scripts = letters_by_script(self.characters)
        self.latin = [chr(c) for c in range(97, 123)] + list("äöüéèñçß")

    def word(self):
        r = self.random
        letters = self.latin if r.random() < 0.5 else r.choice(self.scripts)
        word = "".join(r.choice(letters) for _ in range(r.randint(1, 12)))
        style = r.random()
        word = word.upper() if style < 0.1 else word.title() \
            if style < 0.25 else word
        return unicodedata.normalize("NFD", word) if r.random() < 0.1 else word

    def piece(self):
        r = self.random
        kind = r.random()
        if kind < 0.6:
            return self.word()
        if kind < 0.7:
            return str(r.randrange(10 ** r.randint(1, 12)))
        if kind < 0.78:
            return r.choice(CODE)
        if kind < 0.82:
            return r.choice(EMOJI)
        if kind < 0.9:
            return "".join(r.choice(".,;:!?-–—()[]{}\"'«»…/\\|@#%^&*_=+~<>。、！")
                           for _ in range(r.randint(1, 4)))
        return r.choice(self.characters)

    def text(self, pieces):
        r = self.random
        out = []
        for _ in range(pieces):
            out.append(self.piece())
            if r.random() < 0.8:
                out.append(" " if r.random() < 0.8 else r.choice(SPACES))
        return "".join(out)

    def edges(self, added):
        """Every character, and added tokens with neighbors."""
        size = 48
        shuffled = self.characters[:]
        self.random.shuffle(shuffled)
        for around in ("", " ", "a", "1", "."):
            for i in range(0, len(shuffled), size):
                yield around.join(shuffled[i:i + size])
        for token in added:
            for left in ("", " ", "a", "\n", "1", "\u2581", "é"):
                for right in ("", " ", "b", "\n", "  x", "'s", "\u0301"):
                    yield left + token + right
            yield token + token + " " + token


def ask(program, vocab, texts, special):
    lines = "".join(json.dumps({"text": t, "parse_special": special,
                                "add_special": False}) + "\n" for t in texts)
    done = subprocess.run([program, "tokenize", "-m", vocab, "--jsonl"],
                          input=lines.encode(), stdout=subprocess.PIPE,
                          check=True)
    return [json.loads(line).get("ids") for line in done.stdout.splitlines()]


def compare(program, vocab, tokenizer, texts, special):
    """How many texts differ; the first ones are shown."""
    tokenizer.encode_special_tokens = not special
    wrong = 0
    given = ask(program, vocab, texts, special)
    assert len(given) == len(texts), "a line is missing"
    for at in range(0, len(texts), 1000):
        wanted = tokenizer.encode_batch(texts[at:at + 1000],
                                        add_special_tokens=False)
        for text, ours, theirs in zip(texts[at:], given[at:], wanted):
            if ours == theirs.ids:
                continue
            wrong += 1
            if wrong <= SHOWN:
                first = next((i for i, (a, b) in enumerate(
                    zip(ours or [], theirs.ids)) if a != b), 0)
                print("  %r special=%s\n    expected ...%s\n    is       ...%s"
                      % (text[:60], special, theirs.ids[first:first + 12],
                         (ours or [])[first:first + 12]))
    return wrong


def is_run(token):
    return set(token["content"]) == {"\u2581"}


def has_runs(root):
    return any(is_run(t) for t in root["added_tokens"])


def variants(root, random_):
    """Names and changes of a tokenizer.json: flags of added tokens, and for
    characters the pre-tokenizer Metaspace."""
    yield "", root
    chars = root["model"]["byte_fallback"]
    flags = ["lstrip", "rstrip", "single_word"]
    if not chars:
        flags.append("normalized")
    changed = dict(root, added_tokens=[
        dict(t, **{f: random_.random() < 0.5 for f in flags
                   if t["content"].isascii() and t["content"].strip()})
        for t in root["added_tokens"]])
    yield " with flags", changed
    for scheme in ("always", "first", "never") \
            if chars and not has_runs(root) else ():
        for split in (False, True):
            yield " with Metaspace %s%s" % (scheme, " split" * split), dict(
                root, normalizer=None,
                pre_tokenizer={"type": "Metaspace", "replacement": "\u2581",
                               "prepend_scheme": scheme, "split": split})


def of_library(root):
    """A tokenizer.json for the library. Runs of spaces that are added tokens
    (Gemma 3) are looked for in the text as it is, where clsa takes them from
    the file; the library has to look for them behind its normalizer, which
    gives the ids of the makers for all but texts with U+2581 of their own."""
    return dict(root, added_tokens=[
        dict(t, normalized=True) if is_run(t) else t
        for t in root["added_tokens"]])


def check(program, folder, name, count, writer, source):
    import tokenizers
    with open(os.path.join(folder, name + ".json")) as f:
        golden = json.load(f)
    wrong = 0
    with tempfile.TemporaryDirectory() as there:
        gguf = os.path.join(there, name + ".gguf")
        with lzma.open(os.path.join(folder, name + ".gguf.xz")) as f, \
                open(gguf, "wb") as out:
            out.write(f.read())
        model = os.path.join(there, "model")
        path = os.path.join(model, "tokenizer.json")
        tokenizer_json.write(gguf, golden, model, source)
        with open(path) as f:
            root = json.load(f)
        added = [t["content"] for t in root["added_tokens"]]
        runs = has_runs(root)
        writer.random.shuffle(added)
        edges = list(writer.edges(added[:40]))
        for variant, changed in variants(root, writer.random):
            with open(path, "w") as f:
                json.dump(changed, f)
            tokenizer = tokenizers.Tokenizer.from_str(
                json.dumps(of_library(changed)))
            texts = [writer.text(writer.random.randint(1, 400))
                     for _ in range(count)]
            texts += edges if not variant else edges[-2000:]
            texts = [t for t in texts if not (runs and "\u2581" in t)]
            differ = 0
            for vocab in (model,) if variant else (gguf, model):
                for special in False, True:
                    differ += compare(program, vocab, tokenizer, texts,
                                      special)
            size = sum(len(t.encode()) for t in texts) / 1e6
            print("%s%s: %d texts of %.1f MB, %d differ" %
                  (name, variant, len(texts), size, differ), flush=True)
            wrong += differ
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_intermixed_args()
    try:
        import tokenizers  # noqa: F401
    except ImportError:
        print("SKIP tokenizers: the Python package tokenizers is not there")
        return 77
    if not os.path.isdir(arguments.folder):
        print("SKIP tokenizers: %s is not there" % arguments.folder)
        return 77
    names = arguments.names or sorted(
        f[:-len(".gguf.xz")] for f in os.listdir(arguments.folder)
        if f.endswith(".gguf.xz"))
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          os.pardir, os.pardir, "src", "model",
                          "pretoken.c")
    writer = Writer(arguments.seed)
    wrong = 0
    for name in names:
        wrong += check(arguments.program, arguments.folder, name,
                       arguments.texts, writer, source)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
