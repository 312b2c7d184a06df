# SPDX-License-Identifier: Apache-2.0
"""Several models of one clsa serve: by name, one in memory at a time, unloaded
when nobody asks, and with the answers that each gives alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import chat
from client import Server, content

OTHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data",
                     "good-clsa.gguf")
OWN = ("-c", "128", "--prefill", "own")
TEXT = "abc " * 20


def ask(server, model, prompt=TEXT):
    body = {"prompt": prompt, "max_tokens": 6, "temperature": 0,
            "ignore_eos": True, "logprobs": 1}
    if model:
        body["model"] = model
    status, answer = server.post("/v1/completions", body)
    assert status == 200, answer
    return answer


def alone(path):
    with Server(*OWN, model=path) as server:
        return ask(server, None)["choices"]


def check_names(server, paths, choices):
    data = json.loads(server.get("/v1/models")[1])["data"]
    assert [m["id"] for m in data] == ["first", "second", "third"], data
    assert len({m["meta"]["n_vocab"] for m in data}) > 1, data
    tags = json.loads(server.get("/api/tags")[1])["models"]
    assert [m["name"] for m in tags] == ["first", "second", "third"], tags
    for path in ("/v1/completions", "/v1/chat/completions", "/tokenize",
                 "/apply-template"):
        status, answer = server.post(path, {"model": "fourth"})
        assert status == 404, answer
        assert answer["error"]["code"] == "model_not_found", answer
    assert len(server.text().split("loaded")) == 1, server.text()
    for name in ("first", "second", "third", "second", "first"):
        answer = ask(server, name)
        assert answer["choices"] == choices[name], (name, answer)
        assert answer["model"] == name
    assert ask(server, None)["choices"] == choices["first"]
    sizes = {name: len(server.post("/tokenize", {
        "model": name, "content": TEXT})[1]["tokens"]) for name in paths}
    assert len(set(sizes.values())) > 1, sizes
    status, answer = server.post("/v1/chat/completions", {
        "model": "third", "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 2})
    assert status == 200, answer


def check_crowd(server, choices):
    """Everybody is answered, whatever the others ask for."""
    names = ["first", "second", "third"] * 6
    with ThreadPoolExecutor(18) as pool:
        answers = list(pool.map(lambda name: ask(server, name), names))
    for name, answer in zip(names, answers):
        assert answer["choices"] == choices[name], (name, answer)
    server.wait_metric("requests_running", 0)


def check_gone(server, paths, choices):
    """A file that is not there any more: who asks for it hears so."""
    ask(server, "first")
    os.rename(paths["second"], paths["second"] + ".away")
    status, answer = server.post("/v1/completions", {
        "model": "second", "prompt": "a"})
    assert status == 503 and "second" in answer["error"]["message"], answer
    assert ask(server, "first")["choices"] == choices["first"]
    os.rename(paths["second"] + ".away", paths["second"])
    assert ask(server, "second")["choices"] == choices["second"]


def check_keep_alive(path, choices):
    """It leaves when nobody asks, takes no memory then, and comes again with
    what the disk has kept."""
    with tempfile.TemporaryDirectory() as folder, \
            Server(*OWN, "--keep-alive", "1", "--cache-dir", folder,
                   model=path) as server:
        assert ask(server, "any name")["choices"] == choices
        long = ask(server, None, TEXT * 2)["choices"]
        for _ in range(3):
            while server.metric('memory_bytes{kind="taken"}') > 0:
                time.sleep(0.05)
            assert "unloaded" in server.text()
            assert server.get("/health")[0] == 200
            assert server.post("/tokenize", {"content": "abc"})[0] == 200
            answer = ask(server, None, TEXT * 2)
            assert answer["choices"] == long, answer
            assert answer["usage"]["prompt_tokens_details"][
                "cached_tokens"] > 0, answer
        assert server.close() == 0


def check_refusals(folder, paths):
    def run(*arguments):
        done = subprocess.run([os.environ["CLSA"], "serve", "--port", "0",
                               *arguments], capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stderr
    status, text = run("-m", paths["first"], "-m", paths["second"], "--alias",
                       "x")
    assert status == 2 and "--alias" in text, text
    same = os.path.join(folder, "same")
    os.mkdir(same)
    shutil.copy(paths["first"], os.path.join(same, "first.gguf"))
    status, text = run("-m", paths["first"], "-m",
                       os.path.join(same, "first.gguf"))
    assert status == 1 and "rename" in text, text
    status, text = run("-m", paths["first"], "-m", os.path.join(folder, "none"))
    assert status == 1 and "none" in text, text
    status, text = run("-m", "")
    assert status == 2 and "--model" in text, text


def main():
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name + ".gguf")
                 for name in ("first", "second", "third")}
        shutil.copy(os.environ["CLSA_TEST_MODEL"], paths["first"])
        shutil.copy(OTHER, paths["second"])
        chat.with_template(chat.TEMPLATE, paths["third"])
        choices = {name: alone(path) for name, path in paths.items()}
        with Server(*OWN, "-m", paths["second"], "-m", paths["third"],
                    model=paths["first"]) as server:
            check_names(server, paths, choices)
            check_crowd(server, choices)
            check_gone(server, paths, choices)
            assert server.close() == 0
        check_keep_alive(paths["first"], choices["first"])
        check_refusals(folder, paths)
    print("models: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
