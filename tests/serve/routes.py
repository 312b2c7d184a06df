# SPDX-License-Identifier: Apache-2.0
"""What clsa serve answers: texts, streams, usage, errors, limits of a request,
who may ask. The model is the bundled one; what it says does not matter."""

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from client import Server, content, joined

PROMPT = "The history of the town begins"
GREEDY = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0}


def check_completions(server):
    status, answer = server.post("/v1/completions", GREEDY)
    assert status == 200, answer
    choice = answer["choices"][0]
    assert answer["object"] == "text_completion"
    assert choice["finish_reason"] in ("length", "stop")
    assert answer["usage"]["completion_tokens"] == 12
    assert answer["usage"]["total_tokens"] == \
        answer["usage"]["prompt_tokens"] + 12
    assert server.post("/completions", GREEDY)[1]["choices"] == \
        answer["choices"]
    events = server.stream("/v1/completions", GREEDY)
    assert joined(events) == content(answer)
    assert events[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]
    assert all("usage" not in event for event in events)
    events = server.stream("/v1/completions", {
        **GREEDY, "stream_options": {"include_usage": True}})
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 12
    assert all(event["usage"] is None for event in events[:-1])
    echo = server.post("/v1/completions", {**GREEDY, "echo": True})[1]
    assert content(echo) == PROMPT + content(answer)
    some = server.post("/v1/completions", {
        **GREEDY, "prompt": [PROMPT, "Once"], "n": 2})[1]
    assert [c["index"] for c in some["choices"]] == [0, 1, 2, 3]
    assert some["choices"][1]["text"] == content(answer)
    assert "model" in answer and answer["id"].startswith("cmpl-")
    return content(answer)


def check_stops(server, text):
    middle = text[len(text) // 2:][:3]
    for body in ({"stop": middle}, {"stop": ["never there", middle]}):
        answer = server.post("/v1/completions", {**GREEDY, **body})[1]
        assert content(answer) == text[:text.index(middle)], answer
        assert answer["choices"][0]["finish_reason"] == "stop"
        events = server.stream("/v1/completions", {**GREEDY, **body})
        assert joined(events) == content(answer)
    # what is held back comes in the end
    answer = server.stream("/v1/completions",
                           {**GREEDY, "stop": text[-2:] + "\x01 no"})
    assert joined(answer) == text


def check_sampling(server):
    body = {"prompt": PROMPT, "max_tokens": 8, "seed": 7, "temperature": 1}
    first = server.post("/v1/completions", {**body, "n": 4})[1]
    for i in range(4):
        one = server.post("/v1/completions", {**body, "seed": 7 + i})[1]
        assert content(one) == first["choices"][i]["text"]
    only = server.post("/v1/completions", {
        **GREEDY, "logit_bias": {"40": 100}, "max_tokens": 3,
        "logprobs": 2})[1]["choices"][0]["logprobs"]
    assert len(only["tokens"]) == 3 == len(only["text_offset"])
    assert len(set(only["tokens"])) == 1
    assert all(len(top) <= 2 for top in only["top_logprobs"])
    assert all(value <= 0 for value in only["token_logprobs"])


def check_errors(server):
    bad = [
        ("{", None, "not JSON"),
        ("[1]", None, "not a JSON object"),
        ("[" * 100000, None, "not JSON"),
        ({"prompt": ""}, "prompt", ""),
        ({}, "prompt", ""),
        ({"prompt": 3}, "prompt", ""),
        ({"prompt": [-1]}, "prompt", "vocabulary"),
        ({"prompt": [[]]}, "prompt", ""),
        ({**GREEDY, "temperature": "hot"}, "temperature", "number"),
        ({**GREEDY, "temperature": 1e9}, "temperature", "100"),
        ({**GREEDY, "top_p": -1}, "top_p", ""),
        ({**GREEDY, "top_k": -3}, "top_k", ""),
        ({**GREEDY, "top_k": 2.5}, "top_k", ""),
        ({**GREEDY, "max_tokens": 0}, "max_tokens", ""),
        ({**GREEDY, "max_completion_tokens": 5}, "max_completion_tokens", ""),
        ({**GREEDY, "n": 0}, "n", ""),
        ({**GREEDY, "n": 9}, "n", "8"),
        ({**GREEDY, "stream": 1}, "stream", ""),
        ({**GREEDY, "stream_options": {}}, "stream_options", ""),
        ({**GREEDY, "stop": 4}, "stop", ""),
        ({**GREEDY, "stop": ["x"] * 17}, "stop", ""),
        ({**GREEDY, "logit_bias": []}, "logit_bias", ""),
        ({**GREEDY, "logit_bias": {"x": 1}}, "logit_bias", ""),
        ({**GREEDY, "logit_bias": {"999999": 1}}, "logit_bias", ""),
        ({**GREEDY, "logit_bias": {"1": 101}}, "logit_bias", ""),
        ({**GREEDY, "logprobs": 21}, "logprobs", ""),
        ({**GREEDY, "tools": [{}]}, "tools", "support"),
        ({**GREEDY, "response_format": {"type": "json_object"}},
         "response_format", "support"),
        ({**GREEDY, "best_of": 3}, "best_of", "support"),
        ({**GREEDY, "seed": 1.5}, "seed", ""),
    ]
    for body, param, words in bad:
        if isinstance(body, str):
            body = body.encode()
        status, answer = server.post("/v1/completions", body)
        error = answer["error"]
        assert status == 400, (body, answer)
        assert error["type"] == "invalid_request_error", answer
        assert error["param"] == param, (body, answer)
        assert words in error["message"], (body, answer)
    fine = {**GREEDY, "nobody_knows": 1, "tools": [], "suffix": None,
            "best_of": 1, "response_format": {"type": "text"}}
    assert server.post("/v1/completions", fine)[0] == 200
    status, answer = server.post("/v1/completions", {
        **GREEDY, "prompt": "word " * 3000, "stream": True})
    assert status == 400
    assert answer["error"]["code"] == "context_length_exceeded"
    assert answer["error"]["n_ctx"] == 2048
    assert "maximum context length is 2048 tokens" in answer["error"]["message"]
    assert server.post("/v1/completions", {
        **GREEDY, "max_tokens": 2048})[1]["error"]["code"] == \
        "context_length_exceeded"


def check_paths(server):
    assert server.get("/nothing")[0] == 404
    status, headers, _ = server.request("GET", "/v1/completions")
    assert status == 405 and headers["Allow"] == "POST"
    assert server.request("POST", "/health", "{}")[0] == 405
    models = json.loads(server.get("/v1/models")[1])
    assert models["data"][0]["id"] and models == \
        json.loads(server.get("/models")[1])
    assert json.loads(server.get("/health")[1]) == {"status": "ok"}


def check_texts(server):
    for text in ("", "Hello", " two  blanks\n", "h\u00e9 \U0001f600 \u4e2d",
                 "a" * 500, "<|im_end|>", "\ttab"):
        status, answer = server.post("/tokenize", {"content": text})
        assert status == 200
        back = server.post("/detokenize", {"tokens": answer["tokens"]})[1]
        assert back["content"] == text, (text, back)
        pieces = server.post("/v1/tokenize", {
            "content": text, "with_pieces": True})[1]["tokens"]
        assert [p["id"] for p in pieces] == answer["tokens"]
    assert server.post("/tokenize", {})[1]["error"]["param"] == "content"
    for ids in ([-1], [1 << 40], ["a"], 3, None):
        status, answer = server.post("/detokenize", {"tokens": ids})
        assert status == 400 and answer["error"]["param"] == "tokens"
    props = json.loads(server.get("/props")[1])
    assert props["default_generation_settings"]["n_ctx"] == 2048
    slots = json.loads(server.get("/slots")[1])
    assert len(slots) == props["total_slots"] == 8


def check_head(server):
    """What the guard refuses, as bytes."""
    body = json.dumps(GREEDY).encode()
    length = b"Content-Length: %d\r\n" % len(body)
    start = b"POST /v1/completions HTTP/1.1\r\n"
    host = b"Host: localhost\r\n"
    table = [
        (start + host + length + b"\r\n" + body, 200),
        (start + length + b"\r\n" + body, 400),
        (start + host + host + length + b"\r\n" + body, 400),
        (start + host + length + length + b"\r\n" + body, 400),
        (start + host + length + b"Transfer-Encoding: chunked\r\n\r\n", 400),
        (start + host + b"Content-Length: +2\r\n\r\n{}", 400),
        (start + host + length + b"X: a\x01b\r\n\r\n" + body, 400),
        (start + host + b"Content-Length: 99999999999\r\n\r\n", 413),
        (start + host + b"\r\n", 411),
        (start + b"Host: evil.example\r\n" + length + b"\r\n" + body, 403),
        (start + host + b"Origin: http://evil.example\r\n" + length + b"\r\n" +
         body, 403),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n", 414),
        (start + host + b"A: b\r\n" * 80 + length + b"\r\n" + body, 431),
        (start + host + b"A: " + b"b" * 100000 + b"\r\n\r\n", 431),
    ]
    for data, status in table:
        answer = server.raw(data)
        assert answer.startswith(b"HTTP/1.1 %d " % status), \
            (data[:200], status, answer[:200])
    assert server.get("/health")[0] == 200


def check_together(server):
    """Each request alone, and all of them at once."""
    bodies = [{"prompt": PROMPT[:5 + 3 * i], "max_tokens": 5 + 4 * i,
               "seed": i, "temperature": i % 2} for i in range(8)]
    alone = [content(server.post("/v1/completions", body)[1])
             for body in bodies]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            both = list(pool.map(
                lambda body: content(server.post("/v1/completions", body)[1]),
                bodies))
            assert both == alone, (both, alone)


def check_keys():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("# ours\nfirst-key\nsecond-key\n")
        file.flush()
        with Server("--api-key-file", file.name, "-c", "512") as server:
            for headers, status in (
                    ({}, 401), ({"Authorization": "Bearer first"}, 401),
                    ({"Authorization": "Bearer first-key"}, 200),
                    ({"X-Api-Key": "second-key"}, 200)):
                assert server.post("/v1/completions", GREEDY,
                                   headers)[0] == status
            assert server.get("/health")[0] == 200
            assert server.get("/v1/models")[0] == 401


def main():
    with Server("-c", "2048", "--prefill", "own") as server:
        text = check_completions(server)
        check_stops(server, text)
        check_sampling(server)
        check_errors(server)
        check_paths(server)
        check_texts(server)
        check_head(server)
        check_together(server)
        assert server.close() == 0, server.text()
        assert "generated=12" in server.text()
        assert PROMPT not in server.text()
    check_keys()
    print("routes: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
