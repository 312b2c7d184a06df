#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden suite of tokenizers: every vocabulary and text of golden-tok in the
shared folder gives the ids, the pieces and the bytes of the models' makers, and
the same ids from a folder with tokenizer.json of the vocabulary.

usage: golden_tok.py CLSA FOLDER [NAME...]

The vocabularies are unpacked into a temporary folder. Prints the cases that
differ and one line for each vocabulary.
"""
import base64
import hashlib
import json
import lzma
import os
import subprocess
import sys
import tempfile

import tokenizer_json

SHOWN = 5  # cases of a vocabulary that are printed


def text_of(case):
    """The bytes of a case."""
    if "base64" in case:
        return base64.b64decode(case["base64"])
    return case["text"].encode()


def ask(command, requests):
    """The answers of the program to lines of JSON."""
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run(command + ["--jsonl"], input=lines.encode(),
                          stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests), "a line is missing"
    return answers


def request_of(case):
    keys = ("text", "base64", "parse_special", "add_special")
    return {k: case[k] for k in keys if k in case}


def check_ids(program, vocab, cases):
    """Ids of all texts, and their bytes again."""
    wrong = 0
    answers = ask([program, "tokenize", "-m", vocab],
                  [request_of(c) for c in cases])
    texts = ask([program, "detokenize", "-m", vocab],
                [{"ids": c["ids"]} for c in cases])
    for case, answer, text in zip(cases, answers, texts):
        expected = base64.b64decode(case["detok_base64"]) \
            if "detok_base64" in case else text_of(case)
        got = base64.b64decode(text.get("base64", ""))
        if answer.get("ids") == case["ids"] and got == expected:
            continue
        wrong += 1
        if wrong <= SHOWN:
            print("  %r special=%s add=%s %s\n    expected %s %r\n"
                  "    is       %s %r" %
                  (text_of(case)[:80], case.get("parse_special"),
                   case.get("add_special"), case["tag"], case["ids"][:40],
                   expected[:60], str(answer)[:300], got[:60]))
    return wrong


def check_settings(program, vocab, golden):
    """What `clsa info --vocab` says."""
    done = subprocess.run([program, "info", "--vocab", "--json", vocab],
                          stdout=subprocess.PIPE, check=True)
    info = json.loads(done.stdout)
    settings = golden["settings"]
    wrong = 0
    for key, value in settings.items():
        key = {"n_tokens": "tokens"}.get(key, key)
        if key in info and key != "pre" and info[key] != value:
            print("  %s is %r, not %r" % (key, info[key], value))
            wrong += 1
    if info["pieces_sha256"] != golden["pieces_sha256"]:
        print("  the pieces differ")
        wrong += 1
    if settings["eos"] >= 0 and settings["eos"] not in info["eog"]:
        print("  eos is not in %r" % info["eog"])
        wrong += 1
    return wrong


def check_pieces(program, vocab, golden):
    """Each of the pieces listed, by its id alone."""
    answers = ask([program, "detokenize", "-m", vocab],
                  [{"ids": [golden["settings"]["bos"], p[0]]}
                   for p in golden["pieces"]]) \
        if golden["settings"]["bos"] >= 0 else []
    first = next((base64.b64decode(p[1]) for p in golden["pieces"]
                  if p[0] == golden["settings"]["bos"]), None)
    wrong = 0
    for piece, answer in zip(golden["pieces"], answers):
        got = base64.b64decode(answer["base64"])
        if first is not None and got != first + base64.b64decode(piece[1]):
            wrong += 1
            if wrong <= SHOWN:
                print("  piece %d is %r" % (piece[0], got))
    return wrong


def check_folder(program, vocab, golden, where):
    """Ids from a folder with tokenizer.json of the same vocabulary."""
    folder = os.path.join(where, "folder")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "../../src/model/pretoken.c")
    tokenizer_json.write(vocab, golden, folder, source)
    answers = ask([program, "tokenize", "-m", folder],
                  [request_of(c) for c in golden["cases"]])
    wrong = 0
    for case, answer in zip(golden["cases"], answers):
        if answer.get("ids") == case["ids"]:
            continue
        wrong += 1
        if wrong <= SHOWN:
            print("  tokenizer.json: %r special=%s add=%s\n    expected %s\n"
                  "    is       %s" %
                  (text_of(case)[:80], case.get("parse_special"),
                   case.get("add_special"), case["ids"][:40],
                   str(answer)[:300]))
    return wrong


def unpack(folder, golden, where):
    with lzma.open(os.path.join(folder, golden["vocab_file"])) as packed:
        data = packed.read()
    assert hashlib.sha256(data).hexdigest() == golden["sha256"], \
        golden["vocab_file"]
    path = os.path.join(where, golden["name"] + ".gguf")
    with open(path, "wb") as out:
        out.write(data)
    return path


def main():
    program, folder = sys.argv[1:3]
    names = sys.argv[3:] or sorted(
        f[:-5] for f in os.listdir(folder)
        if f.endswith(".json") and f != "disagreements.json")
    wrong = cases = 0
    with tempfile.TemporaryDirectory() as where:
        for name in names:
            with open(os.path.join(folder, name + ".json")) as f:
                golden = json.load(f)
            vocab = unpack(folder, golden, where)
            bad = check_settings(program, vocab, golden)
            bad += check_pieces(program, vocab, golden)
            bad += check_ids(program, vocab, golden["cases"])
            bad += check_folder(program, vocab, golden, where)
            print("%s %s: %d cases, %d wrong" %
                  ("not ok" if bad else "ok", name, len(golden["cases"]), bad))
            wrong += bad
            cases += len(golden["cases"])
            os.remove(vocab)
    print("%d cases of %d vocabularies, %d wrong" % (cases, len(names), wrong))
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
