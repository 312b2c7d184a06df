# SPDX-License-Identifier: Apache-2.0
"""clsa serve in the words of llama-server (/completion) and of ollama
(/api/...). What is generated has to be what OpenAI's routes give."""

import json
import os
import sys
import tempfile

from chat import MESSAGES, TEMPLATE, with_template
from client import Server, content

PROMPT = "The history of the town begins"
LLAMA = {"prompt": PROMPT, "n_predict": 12, "temperature": 0}
OPTIONS = {"num_predict": 12, "temperature": 0}


def events_of(server, path, body, type_, before, after):
    """The events of a stream that has no mark at its end."""
    status, headers, text = server.request("POST", path, body)
    assert status == 200, text
    assert headers["Content-Type"].startswith(type_), headers
    parts = text.decode().split(after)
    assert parts[-1] == "" and all(p.startswith(before) for p in parts[:-1])
    return [json.loads(part[len(before):]) for part in parts[:-1]]


def lines(server, path, body):
    return events_of(server, path, body, "application/x-ndjson", "", "\n")


def check_llama(server, text):
    status, answer = server.post("/completion", LLAMA)
    assert status == 200 and answer["content"] == text, answer
    assert answer["stop"] is True and answer["stop_type"] == "limit"
    assert answer["tokens_predicted"] == 12 and answer["tokens"] == []
    assert answer["prompt"] == PROMPT and answer["truncated"] is False
    assert answer["generation_settings"]["n_predict"] == 12
    ids = server.post("/tokenize", {"content": PROMPT,
                                    "add_special": True})[1]["tokens"]
    times = answer["timings"]
    assert times["prompt_n"] + times["cache_n"] == len(ids) == \
        answer["tokens_evaluated"]
    assert times["predicted_n"] == 12 and times["predicted_ms"] > 0
    events = events_of(server, "/completion", {**LLAMA, "stream": True},
                       "text/event-stream", "data: ", "\n\n")
    assert "".join(e["content"] for e in events) == text
    assert [e["stop"] for e in events] == [False] * (len(events) - 1) + [True]
    generated = [i for e in events for i in e["tokens"]]
    whole = server.post("/completion", {**LLAMA, "return_tokens": True})[1]
    assert whole["tokens"] == generated and len(generated) == 12
    assert server.post("/detokenize", {"tokens": generated})[1]["content"] == \
        text
    for prompt in (ids, [*ids[:-1], "begins"], ["The", *ids[1:]]):
        given = server.post("/completion", {**LLAMA, "prompt": prompt})[1]
        assert given["tokens_evaluated"] == len(ids) or prompt is not ids
        assert prompt is not ids or given["content"] == text
    two = server.post("/completion", {**LLAMA, "prompt": [PROMPT, "Once"]})[1]
    assert [a["index"] for a in two] == [0, 1] and two[0]["content"] == text


def check_llama_fields(server, text):
    word = text[len(text) // 2:][:3]
    answer = server.post("/completion", {**LLAMA, "stop": ["never", word]})[1]
    assert answer["stop_type"] == "word" and answer["stopping_word"] == word
    assert answer["content"] == text[:text.index(word)]
    answer = server.post("/completion", {**LLAMA, "n_predict": 2,
                                         "n_probs": 3})[1]
    places = answer["completion_probabilities"]
    assert [len(p["top_logprobs"]) for p in places] == [3, 3]
    assert all(p["logprob"] <= 0 for p in places)
    first = server.post("/completion", {**LLAMA, "n_predict": 1,
                                        "return_tokens": True})[1]["tokens"][0]
    for bias in ([[first, False]], [[first, -100]], {str(first): -100}):
        other = server.post("/completion", {
            **LLAMA, "n_predict": 1, "logit_bias": bias,
            "return_tokens": True})[1]
        assert other["tokens"][0] != first
    letter = server.post("/completion", {
        **LLAMA, "n_predict": 3, "logit_bias": [["e", 100]]})[1]
    assert letter["content"] == "eee", letter
    # -1: no limit, any seed
    answer = server.post("/completion", {
        **LLAMA, "n_predict": -1, "seed": -1, "stop": [word]})[1]
    assert answer["stop_type"] == "word"
    for body, param in (({"n_probs": 99}, "n_probs"),
                        ({"logit_bias": [[1]]}, "logit_bias"),
                        ({"logit_bias": [[1e9, 1]]}, "logit_bias"),
                        ({"logit_bias": [[99999999, 1]]}, "logit_bias"),
                        ({"image_data": [{}]}, "image_data"),
                        ({"grammar": "root ::= x"}, "grammar"),
                        ({"prompt": [1, {}]}, "prompt")):
        status, answer = server.post("/completion", {**LLAMA, **body})
        assert status == 400 and answer["error"]["param"] == param, answer


def check_ollama_chat(server):
    body = {"model": "any", "messages": MESSAGES, "options": OPTIONS}
    text = content(server.post("/v1/chat/completions", {
        "messages": MESSAGES, "max_tokens": 12, "temperature": 0})[1])
    status, answer = server.post("/api/chat", {**body, "stream": False})
    assert status == 200 and answer["message"] == {
        "role": "assistant", "content": text}, answer
    assert answer["done"] is True and answer["done_reason"] == "length"
    assert answer["model"] == "any" and answer["created_at"].endswith("Z")
    assert answer["eval_count"] == 12 and answer["eval_duration"] > 0
    assert answer["prompt_eval_count"] > 12
    assert answer["total_duration"] >= answer["eval_duration"]
    events = lines(server, "/api/chat", body)
    assert "".join(e["message"]["content"] for e in events) == text
    assert [e["done"] for e in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["eval_count"] == 12
    some = server.post("/api/chat", {**body, "stream": False, "logprobs": True,
                                     "top_logprobs": 2})[1]["logprobs"]
    assert len(some) == 12 and len(some[0]["top_logprobs"]) == 2
    for empty in ({}, {"messages": []}):
        load = server.post("/api/chat", {**empty, "stream": False})[1]
        assert load["done_reason"] == "load" and load["done"]


def check_ollama_text(server):
    body = {"prompt": "Hello", "options": OPTIONS, "stream": False}
    as_chat = content(server.post("/v1/chat/completions", {
        "messages": [{"role": "system", "content": "Be kind."},
                     {"role": "user", "content": "Hello"}],
        "max_tokens": 12, "temperature": 0})[1])
    raw = content(server.post("/v1/completions", {
        "prompt": "Hello", "max_tokens": 12, "temperature": 0})[1])
    answer = server.post("/api/generate", {**body, "system": "Be kind."})[1]
    assert answer["response"] == as_chat, answer
    answer = server.post("/api/generate", {**body, "raw": True})[1]
    assert answer["response"] == raw
    events = lines(server, "/api/generate", {**body, "raw": True,
                                             "stream": True})
    assert "".join(e["response"] for e in events) == raw
    assert events[-1]["done_reason"] == "length"
    assert server.post("/api/generate", {"stream": False})[1]["done_reason"] \
        == "load"


def check_ollama_model(server):
    tags = json.loads(server.get("/api/tags")[1])["models"]
    assert tags[0]["name"] == tags[0]["model"] == "chat"
    assert tags[0]["details"]["quantization_level"] == "Q8_0"
    assert tags[0]["details"]["parameter_size"] == "11.2M"
    assert tags[0]["size"] > 10e6
    assert json.loads(server.get("/api/ps")[1])["models"][0]["name"] == "chat"
    status, shown = server.post("/api/show", {"model": "chat"})
    assert status == 200 and shown["template"].startswith(TEMPLATE)
    assert shown["capabilities"] == ["completion"]
    assert shown["model_info"]["general.architecture"] == "yoco"
    assert shown["model_info"]["yoco.block_count"] == 12
    assert shown["model_info"]["general.parameter_count"] == 11247296
    assert json.loads(server.get("/api/version")[1])["version"]


def check_ollama_errors(server):
    chat = {"messages": MESSAGES}
    for path, body, words in (
            ("/api/chat", {**chat, "format": "json"}, "format: "),
            ("/api/chat", {**chat, "tools": [{}]}, "tools: "),
            ("/api/chat", {**chat, "think": True}, "think: "),
            ("/api/chat", {**chat, "options": 3}, "options: "),
            ("/api/chat", {**chat, "options": {"top_p": 7}}, "top_p: "),
            ("/api/chat", {**chat, "stream": "no"}, "stream: "),
            ("/api/chat", {"messages": [{"role": "user", "content": "a",
                                         "images": ["x"]}]}, "images: "),
            ("/api/chat", {"messages": "hello"}, "messages: "),
            ("/api/chat", {"messages": [{"role": "user",
                                         "content": "word " * 3000}]},
             "maximum context length is 2048 tokens"),
            ("/api/generate", {"prompt": 4}, "prompt: "),
            ("/api/generate", {"prompt": "a", "suffix": "b"}, "suffix: "),
            ("/api/generate", {"prompt": "a", "raw": True, "system": "b"},
             "system: "),
            ("/api/generate", {"prompt": "a", "context": [1]}, "context: ")):
        status, answer = server.post(path, body)
        assert status == 400 and words in answer["error"], (body, answer)
    assert server.post("/api/chat", b"{")[1]["error"].startswith("the body")
    for path in ("/api/pull", "/api/nothing"):
        status, answer = server.post(path, {})
        assert status == 404 and "no such path" in answer["error"]
    assert server.request("DELETE", "/api/tags")[0] == 405
    # as clients do that have no thoughts
    assert server.post("/api/chat", {
        **chat, "think": False, "stream": False, "options": {
            **OPTIONS, "num_ctx": 4096, "num_predict": 1}})[0] == 200


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "chat.gguf")
        with_template(TEMPLATE, model)
        with Server("-c", "2048", "--prefill", "own", model=model) as server:
            text = content(server.post("/v1/completions", {
                "prompt": PROMPT, "max_tokens": 12, "temperature": 0})[1])
            check_llama(server, text)
            check_llama_fields(server, text)
            check_ollama_chat(server)
            check_ollama_text(server)
            check_ollama_model(server)
            check_ollama_errors(server)
    print("dialects: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
