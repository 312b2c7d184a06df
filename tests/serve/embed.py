# SPDX-License-Identifier: Apache-2.0
"""/v1/embeddings and /api/embed of clsa serve: every pooling beside the numpy
reference (tests/reference/clsa_ref.py), batches, the cache, formats, refusals.
The model is good-f32.gguf of the tests with a key for its pooling."""

import base64
import json
import math
import os
import struct
import sys
import tempfile

from client import Server

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "reference"))
try:
    import numpy
    import clsa_ref
except ImportError:
    numpy = None

POOLINGS = {"mean": 1, "cls": 2, "last": 3}
INPUTS = ["The town", "the river and the mill", "a", "The town " * 40]


def with_pooling(number, target):
    """The model with two more keys: the pooling, and one that keeps tensors
    where they have to be."""
    source = os.path.join(
        os.environ.get("CLSA_TEST_DATA", os.path.join(HERE, "..", "data")),
        "good-f32.gguf")
    with open(source, "rb") as file:
        data = file.read()

    def name(text):
        return struct.pack("<Q", len(text)) + text

    keys = name(b"yoco.pooling_type") + struct.pack("<II", 4, number)
    keys += name(b"test.pad") + struct.pack("<I", 8)
    keys += name(b" " * (-(len(keys) + 8) % 32))
    count = struct.unpack_from("<Q", data, 16)[0]
    with open(target, "wb") as file:
        file.write(data[:16] + struct.pack("<Q", count + 2) + keys + data[24:])


def embed(server, inputs, **more):
    status, answer = server.post("/v1/embeddings", {"input": inputs, **more})
    assert status == 200, answer
    assert answer["object"] == "list"
    assert [one["index"] for one in answer["data"]] == \
        list(range(len(answer["data"])))
    return [one["embedding"] for one in answer["data"]], answer["usage"]


def is_near(a, b, most):
    return len(a) == len(b) and max(abs(x - y) for x, y in zip(a, b)) < most


def check_reference(server, model, pooling):
    if numpy is None:
        return
    reference = clsa_ref.Model(model)
    reference.t["output.weight"] = numpy.eye(
        reference.t["token_embd.weight"].shape[1])
    for text, vector in zip(INPUTS, embed(server, INPUTS)[0]):
        ids = server.post("/tokenize", {"content": text})[1]["tokens"]
        states = reference.logits(ids, positions=range(len(ids)))
        pooled = {"mean": states.mean(0), "cls": states[0],
                  "last": states[-1]}[pooling]
        assert is_near(vector, pooled / numpy.linalg.norm(pooled), 1e-4), text


def check_forms(server):
    vectors, usage = embed(server, INPUTS)
    tokens = [server.post("/tokenize", {"content": text})[1]["tokens"]
              for text in INPUTS]
    assert usage["prompt_tokens"] == usage["total_tokens"] == \
        sum(map(len, tokens))
    for vector in vectors:
        assert abs(math.sqrt(sum(x * x for x in vector)) - 1) < 1e-5
    assert not is_near(vectors[0], vectors[1], 1e-3)
    for text, vector in zip(INPUTS, vectors):
        assert embed(server, text)[0][0] == vector, text
    assert embed(server, tokens)[0] == vectors
    assert embed(server, tokens[1])[0] == vectors[1:2]
    packed = embed(server, INPUTS, encoding_format="base64")[0]
    for text, vector in zip(packed, vectors):
        raw = base64.b64decode(text)
        assert is_near(struct.unpack(f"<{len(raw) // 4}f", raw), vector, 1e-7)
    many = embed(server, ["The town"] * 60)[0]
    assert many == vectors[:1] * 60
    status, theirs = server.post("/api/embed", {"model": "m", "input": INPUTS})
    assert status == 200 and theirs["embeddings"] == vectors
    assert theirs["prompt_eval_count"] == usage["prompt_tokens"]
    # what was generated leaves them as they are, and the other way round
    text = {"prompt": INPUTS[3], "max_tokens": 4, "temperature": 0}
    first = server.post("/v1/completions", text)[1]["choices"]
    assert embed(server, INPUTS)[0] == vectors
    assert server.post("/v1/completions", text)[1]["choices"] == first
    server.wait_metric("requests_running", 0)
    shown = server.post("/api/show", {"model": "m"})[1]
    assert shown["capabilities"] == ["embedding"]


def check_errors(server):
    for body, param in (({}, "input"), ({"input": ""}, "input"),
                        ({"input": []}, "input"), ({"input": [[]]}, "input"),
                        ({"input": [-1]}, "input"), ({"input": 3}, "input"),
                        ({"input": ["a"] * 2049}, "input"),
                        ({"input": "a" * 9000}, "input"),
                        ({"input": "a", "dimensions": 2}, "dimensions"),
                        ({"input": "a", "encoding_format": "x"},
                         "encoding_format")):
        status, answer = server.post("/v1/embeddings", body)
        assert status == 400 and answer["error"]["param"] == param, answer
    status, answer = server.post("/api/embed", {"input": ""})
    assert status == 400 and answer["error"].startswith("input: "), answer


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.gguf")
        for pooling, number in POOLINGS.items():
            with_pooling(number, model)
            with Server("-c", "512", "--prefill", "own", "--kv-type", "f32",
                        "--index-type", "f32", model=model) as server:
                check_reference(server, model, pooling)
                check_forms(server)
                check_errors(server)
    with Server("-c", "512") as server:
        status, answer = server.post("/v1/embeddings", {"input": "a"})
        assert status == 400 and "pooling" in json.dumps(answer)
    if numpy is None:
        print("SKIP embeddings: not compared, no numpy")
    print("embed: passed")


if __name__ == "__main__":
    main()
