# SPDX-License-Identifier: Apache-2.0
"""A folder with tokenizer.json from a vocabulary-only GGUF file, as the makers
write it: normalizer, pre-tokenizer, vocabulary, merges, added tokens."""
import json
import os
import re
import struct

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + (r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|") + SPACES
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = CONTRACTIONS + (r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
                         r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|") + SPACES
CAPITAL, SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", \
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = "|".join(r"[^\r\n\p{L}\p{N}]?" + words + CONTRACTIONS + "?"
                 for words in (CAPITAL + "*" + SMALL + "+",
                               CAPITAL + "+" + SMALL + "*")) + \
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES
DEEPSEEK = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
            "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
CJK = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
MARKS = r"\s?[!-/:-~！-／：-～‘-‟" + "\u3000-\u3002]+"


def read_keys(path):
    """The metadata of a GGUF file."""
    with open(path, "rb") as f:
        data = f.read()
    formats = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?",
               10: "Q", 11: "q", 12: "d"}
    at = 24

    def string():
        nonlocal at
        size, = struct.unpack_from("<Q", data, at)
        at += 8 + size
        return data[at - size:at].decode()

    def value(kind):
        nonlocal at
        if kind == 8:
            return string()
        if kind == 9:
            kind, count = struct.unpack_from("<IQ", data, at)
            at += 12
            return [value(kind) for _ in range(count)]
        result, = struct.unpack_from("<" + formats[kind], data, at)
        at += struct.calcsize(formats[kind])
        return result
    keys = {}
    for _ in range(struct.unpack_from("<Q", data, 16)[0]):
        name = string()
        at += 4
        keys[name] = value(struct.unpack_from("<I", data, at - 4)[0])
    return keys


def listed_letters(source):
    """The letters of deepseek-llm, from the table of the program."""
    with open(source) as f:
        table = f.read().split("listed[] = {", 1)[1].split("};", 1)[0]
    pairs = [(int(a, 16), int(b, 16)) for a, b in
             re.findall(r"\{(0x[0-9a-f]+),\s*(0x[0-9a-f]+)\}", table)]
    # two in a row are written as two
    return r"\s?[" + "".join(
        chr(a) if a == b else chr(a) + chr(b) if b == a + 1
        else chr(a) + "-" + chr(b) for a, b in pairs) + "]+"


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex},
            "behavior": "Isolated", "invert": False}


def pre_tokenizer(pre, source):
    digits = {"type": "Digits", "individual_digits": True}
    steps = {
        "llama-bpe": [split(LLAMA3)], "qwen2": [split(QWEN2)],
        "qwen35": [split(QWEN35)], "gpt-4o": [split(O200K)],
        "gpt-2": [], "smollm": [digits],
        "deepseek-llm": [split("[\r\n]"), split(listed_letters(source)),
                         split(MARKS), split(r"\s+$"), split(ASIAN), digits],
        "deepseek-coder": [split("[\r\n]"), split(r"\s?\p{L}+"),
                           split(r"\s?\p{P}+"), split(ASIAN), digits],
        "deepseek-v3": [split(r"\p{N}{1,3}"), split(CJK), split(DEEPSEEK)],
    }[pre]
    last = {"type": "ByteLevel", "add_prefix_space": False,
            "trim_offsets": True, "use_regex": pre in ("gpt-2", "smollm")}
    return {"type": "Sequence", "pretokenizers": steps + [last]} \
        if steps else last


def merges_of_scores(tokens, scores, usable):
    """All pairs of tokens that are a third, the best score first."""
    ids = {t: i for i, t in enumerate(tokens) if usable[i]}
    merges = []
    for token, i in ids.items():
        for k in range(1, len(token)):
            left, right = ids.get(token[:k]), ids.get(token[k:])
            if left is not None and right is not None:
                merges.append((-scores[i], i, left, right))
    merges.sort()
    return [[tokens[a], tokens[b]] for _, _, a, b in merges]


def added_token(i, text, kind, rstrip):
    return {"id": i, "content": text, "single_word": False, "lstrip": False,
            "rstrip": rstrip, "normalized": False, "special": kind != 4}


def normalizer(settings, chars):
    replace = {"type": "Replace", "pattern": {"String": " "},
               "content": "\u2581"}
    if settings["add_space_prefix"]:
        return {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"}, replace]}
    if chars:
        return replace
    return {"type": "NFC"} if settings["nfc"] else None


def post_processor(settings, bos):
    if not settings["add_bos"]:
        return None
    single = [{"SpecialToken": {"id": bos, "type_id": 0}},
              {"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": single,
            "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {bos: {"id": bos, "ids": [settings["bos"]],
                                     "tokens": [bos]}}}


def write(vocab, golden, folder, source):
    """Write the folder. `source`: src/model/pretoken.c of the program."""
    keys = read_keys(vocab)
    settings = golden["settings"]
    chars = settings["model"] != "gpt2"
    ggml = "tokenizer.ggml."
    tokens, kinds = keys[ggml + "tokens"], keys[ggml + "token_type"]
    if chars:  # the makers write spaces of added tokens so, too
        tokens = [t.replace(" ", "\u2581") for t in tokens]
    if ggml + "merges" in keys:
        merges = [m.split(" ", 1) for m in keys[ggml + "merges"]]
    else:
        merges = merges_of_scores(tokens, keys[ggml + "scores"],
                                  [k in (1, 4) for k in kinds])
    kept = ("<unk>", "<s>", "<|endoftext|>")
    # added tokens are in the vocabulary, too: readers take their ids from it
    ids = {t: i for i, (t, k) in enumerate(zip(tokens, kinds)) if k in (1, 6)}
    for i, (t, k) in enumerate(zip(tokens, kinds)):
        if k in (2, 3, 4):
            ids.setdefault(t, i)
    root = {
        "version": "1.0",
        "added_tokens": [
            added_token(i, t, k, settings["rstrip_after_special"] and
                        t not in kept)
            for i, (t, k) in enumerate(zip(tokens, kinds)) if k in (2, 3, 4)],
        "normalizer": normalizer(settings, chars),
        "pre_tokenizer":
            None if chars else pre_tokenizer(settings["pre"], source),
        "post_processor": post_processor(
            settings, tokens[settings["bos"]]
            if settings["bos"] >= 0 else None),
        "model": {
            "type": "BPE", "dropout": None,
            "unk_token": "<unk>" if chars else None, "fuse_unk": chars,
            "byte_fallback": chars,
            "ignore_merges": settings["ignore_merges"],
            "vocab": ids,
            "merges": merges}}
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokenizer.json"), "w") as out:
        json.dump(root, out)
