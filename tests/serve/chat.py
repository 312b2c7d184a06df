# SPDX-License-Identifier: Apache-2.0
"""Chats of clsa serve: templates, roles of a stream, log-probabilities, special
tokens that a user writes, and the cache from turn to turn. The model is the
bundled one with a chat template."""

import math
import os
import struct
import sys
import tempfile

from client import Server, content, joined

TEMPLATE = ("{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n"
            "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}")
MESSAGES = [{"role": "system", "content": "You know the town well. " * 20},
            {"role": "user", "content": "Tell me about the river."}]


def with_template(text, target):
    """The bundled model with one more key."""
    with open(os.environ["CLSA_TEST_MODEL"], "rb") as file:
        data = file.read()
    name = b"tokenizer.chat_template"
    text = text.encode() + b"{#"
    pad = -(len(name) + len(text) + 2 + 20 + 2) % 32  # tensors stay aligned
    text += b" " * (pad + 2) + b"#}"
    count = struct.unpack_from("<Q", data, 16)[0]
    key = (struct.pack("<Q", len(name)) + name + struct.pack("<I", 8) +
           struct.pack("<Q", len(text)) + text)
    with open(target, "wb") as file:
        file.write(data[:16] + struct.pack("<Q", count + 1) + key + data[24:])


def ask(server, messages, **more):
    status, answer = server.post("/v1/chat/completions", {
        "messages": messages, "temperature": 0, "max_tokens": 10, **more})
    assert status == 200, answer
    return answer


def check_answers(server):
    answer = ask(server, MESSAGES, model="any name")
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "any name"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    events = server.stream("/v1/chat/completions", {
        "messages": MESSAGES, "temperature": 0, "max_tokens": 10})
    assert joined(events) == content(answer)
    assert events[0]["choices"][0]["delta"] == {
        "role": "assistant", "content": ""}
    assert len({event["id"] for event in events}) == 1
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    parts = [{**m, "content": [{"type": "text", "text": m["content"]}]}
             for m in MESSAGES]
    assert content(ask(server, parts)) == content(answer)
    prompt = server.post("/apply-template", {"messages": MESSAGES})[1]["prompt"]
    assert prompt.endswith("Tell me about the river.\n[assistant]"), prompt
    same = server.post("/v1/completions", {
        "prompt": prompt, "temperature": 0, "max_tokens": 10})[1]
    assert content(same) == content(answer)
    assert same["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"]


def check_logprobs(server):
    answer = ask(server, MESSAGES, logprobs=True, top_logprobs=5)
    places = answer["choices"][0]["logprobs"]["content"]
    assert len(places) == 10
    for place in places:
        top = place["top_logprobs"]
        assert len(top) == 5 and top[0]["token"] == place["token"]
        assert sum(math.exp(t["logprob"]) for t in top) <= 1 + 1e-5
        assert place["bytes"] == list(bytes(place["bytes"]))
    text = b"".join(bytes(p["bytes"]) for p in places)
    assert text.decode(errors="replace").startswith(content(answer)[:5])


def check_turns(server):
    first = ask(server, MESSAGES)
    more = MESSAGES + [first["choices"][0]["message"],
                       {"role": "user", "content": "And the mill?"}]
    second = ask(server, more)
    details = second["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] >= first["usage"]["prompt_tokens"] - 64
    edited = ask(server, MESSAGES[:1] + [
        {"role": "user", "content": "Say something about the bridge."}])
    again = ask(server, MESSAGES[:1] + [
        {"role": "user", "content": "What do people eat there?"}])
    assert content(edited) is not None
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def check_special(server):
    """What a user writes is never a special token."""
    special = server.special()
    plain = ask(server, [{"role": "user", "content": "a" + special + "b"}])
    text = server.post("/tokenize", {
        "content": "a" + special + "b", "parse_special": False})[1]["tokens"]
    rest = server.post("/tokenize", {"content": "[user] "})[1]["tokens"]
    end = server.post("/tokenize", {"content": "\n[assistant]"})[1]["tokens"]
    assert plain["usage"]["prompt_tokens"] == \
        len(text) + len(rest) + len(end), plain["usage"]


def check_errors(server):
    for body, param in (
            ({}, "messages"), ({"messages": []}, "messages"),
            ({"messages": [{"content": "a"}]}, "messages"),
            ({"messages": [{"role": "user", "content": 3}]}, "messages"),
            ({"messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "x"}}]}]},
             "messages"),
            ({"messages": MESSAGES, "top_logprobs": 3}, "top_logprobs"),
            ({"messages": MESSAGES, "logprobs": True, "top_logprobs": 21},
             "top_logprobs"),
            ({"messages": MESSAGES, "logprobs": 3}, "logprobs")):
        status, answer = server.post("/v1/chat/completions", body)
        assert status == 400 and answer["error"]["param"] == param, answer


class ChatServer(Server):
    def special(self):
        """The text of a control token of the model."""
        for id_ in range(0, 8):
            pieces = self.post("/detokenize", {"tokens": [id_]})[1]["content"]
            back = self.post("/tokenize", {"content": pieces})[1]["tokens"]
            apart = self.post("/tokenize", {
                "content": pieces, "parse_special": False})[1]["tokens"]
            if pieces and back == [id_] and apart != back:
                return pieces
        raise AssertionError("the model has no special token")


def main():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "chat.gguf")
        with_template(TEMPLATE, model)
        with ChatServer("-c", "2048", "--prefill", "own",
                        model=model) as server:
            check_answers(server)
            check_logprobs(server)
            check_turns(server)
            check_special(server)
            check_errors(server)
    print("chat: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
