# SPDX-License-Identifier: Apache-2.0
"""What people who run servers have met elsewhere: clients of a queue that
leave, characters and stop texts cut by tokens, numbers out of any range, heads
that never end, signals at bad moments. See also cache.py."""

import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time

from client import Server, content, joined
from load import seconds_used

LONG = {"prompt": "a", "max_tokens": 400, "ignore_eos": True, "stream": True}


def open_request(server, body):
    """Ask, and leave the answer to come."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                            timeout=120)
    connection.request("POST", "/v1/completions", json.dumps(body))
    return connection


def check_queued_leaves():
    """A client leaves the queue: what it asked for is never computed."""
    with Server("-c", "2048", "--max-seqs", "1", "--cache", "off") as server:
        runs = open_request(server, {**LONG, "max_tokens": 1500})
        while server.metric("generation_tokens_total") == 0:
            time.sleep(0.01)
        before = server.metric("prompt_tokens_total")
        waits = open_request(server, {"prompt": "word " * 1000})
        server.wait_metric("requests_waiting", 1)
        waits.close()
        server.wait_metric("requests_waiting", 0)
        assert server.metric("requests_running") == 1
        runs.close()
        server.wait_metric("requests_running", 0)
        assert server.metric("prompt_tokens_total") == before


def check_cut_characters(server):
    """Tokens that are parts of a character: every event is UTF-8."""
    ids = server.post("/tokenize", {"content": "\U0001f600"})[1]["tokens"]
    assert len(ids) > 1, "the model has a token for it: take another one"
    for some in (ids, ids[:1], ids[-1:], ids[:2]):
        body = {"prompt": "Look: ", "max_tokens": 9, "temperature": 1,
                "seed": 3, "logit_bias": {str(i): 100 for i in some}}
        whole = content(server.post("/v1/completions", body)[1])
        assert joined(server.stream("/v1/completions", body)) == whole
    body = {"prompt": server.post("/tokenize", {"content": "Look: "})[1][
        "tokens"] + ids[:-1], "max_tokens": 1, "temperature": 0,
        "logit_bias": {str(ids[-1]): 100}}
    assert "\udc00" not in content(server.post("/v1/completions", body)[1])


def check_cut_stops(server):
    """A stop text that begins in one token and ends in the third."""
    body = {"prompt": "The history of the town begins", "max_tokens": 16,
            "temperature": 0, "logprobs": 0}
    answer = server.post("/v1/completions", body)[1]
    tokens = answer["choices"][0]["logprobs"]["tokens"]
    text = content(answer)
    tried = 0
    for i in range(2, len(tokens) - 2):
        stop = tokens[i][-1:] + tokens[i + 1] + tokens[i + 2][:1]
        events = server.stream("/v1/completions", {**body, "stop": stop})
        if stop in text:
            tried += 1
            assert joined(events) == text[:text.index(stop)], (stop, events)
            assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert tried > 3


def check_numbers(server):
    """Numbers of no range and no kind: refused by name, or not looked at."""
    fields = ("n", "max_tokens", "max_completion_tokens", "top_k", "top_p",
              "min_p", "temperature", "seed", "logprobs", "repeat_last_n",
              "presence_penalty", "frequency_penalty", "dry_base",
              "xtc_threshold", "repeat_penalty")
    values = ("-9223372036854775808", "9223372036854775807", "1e300", "-1e300",
              "1e-300", "-0.5", "\"7\"", "[]", "{}", "true")
    refused = 0
    for field in fields:
        for value in values:
            text = '{"prompt": "a", "max_tokens": 1, "%s": %s}' % (field, value)
            if field == "max_tokens":
                text = '{"prompt": "a", "max_tokens": %s}' % value
            status, answer = server.post("/v1/completions", text)
            assert status in (200, 400), (text, answer)
            if status == 400:
                refused += 1
                assert answer["error"]["param"] in (field, None), (text, answer)
    assert refused > 100, refused
    for text in ('{"prompt": "a", "top_p": NaN}', '{"prompt": "a", "n": 1e999}',
                 '{"prompt": "a", "seed": 99999999999999999999}'):
        assert server.post("/v1/completions", text)[0] == 400, text
    assert server.post("/v1/completions", {
        "prompt": "a", "max_tokens": 1, "n_discard": -1})[0] == 200


def check_answers_while_reading(server):
    """Health, metrics and slots come while a prompt is read."""
    reads = open_request(server, {"prompt": "word " * 1800, "max_tokens": 1})
    server.wait_metric("requests_reading", 1)
    for path in ("/health", "/slots", "/v1/models", "/metrics"):
        assert server.get(path)[0] == 200
    reads.close()
    server.wait_metric("requests_running", 0)


def check_drain():
    """SIGTERM with two streams and one that waits: all are answered, and
    nobody new is."""
    with Server("-c", "1024", "--max-seqs", "2") as server:
        running = [open_request(server, {**LONG, "max_tokens": 200})
                   for _ in range(2)]
        server.wait_metric("requests_running", 2)
        waits = open_request(server, {"prompt": "b", "max_tokens": 3})
        server.wait_metric("requests_waiting", 1)
        server.terminate()
        for connection in running:
            text = connection.getresponse().read()
            assert text.endswith(b"data: [DONE]\n\n"), text[-80:]
        assert waits.getresponse().status in (200, 503)
        assert server.process.wait(60) == 0
        try:
            server.get("/health")
            raise AssertionError("somebody answers")
        except OSError:
            pass


def check_second_signal():
    """A second SIGTERM ends it at once, whatever runs."""
    with Server("-c", "2048") as server:
        stream = open_request(server, {**LONG, "max_tokens": 1900})
        server.wait_metric("requests_running", 1)
        server.terminate()
        while "stopping" not in server.text():
            time.sleep(0.01)
        server.terminate()
        assert server.process.wait(60) == 0
        try:
            text = stream.getresponse().read()
        except (http.client.HTTPException, OSError):
            text = b""
        assert b"[DONE]" not in text


def check_kill(folder):
    """kill -9 in the middle of a stream: the next server takes the socket."""
    path = os.path.join(folder, "socket")
    for _ in range(2):
        with Server("-c", "1024", "--unix", path) as server:
            stream = open_request(server, LONG)
            server.wait_metric("requests_running", 1)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            stream.close()
    assert os.path.exists(path)
    with Server("-c", "1024", "--unix", path) as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert server.close() == 0
    assert os.listdir(folder) == []


def check_reload(folder):
    """SIGHUP: a key file that is no good changes nothing; without one there is
    nothing to read; and then the server rests."""
    keys = os.path.join(folder, "keys")
    with open(keys, "w") as file:
        file.write("good\n")
    with Server("-c", "256", "--api-key-file", keys) as server:
        def status(key):
            return server.post("/v1/completions", {
                "prompt": "a", "max_tokens": 1},
                {"Authorization": "Bearer " + key})[0]
        for text in ("", "# nothing\n", "x" * 300 + "\n"):
            with open(keys, "w") as file:
                file.write(text)
            said = server.text().count("key")
            server.process.send_signal(signal.SIGHUP)
            while server.text().count("key") == said:
                time.sleep(0.01)
            assert status("good") == 200 and status("") == 401
        os.remove(keys)
        server.process.send_signal(signal.SIGHUP)
        while "No such file" not in server.text():
            time.sleep(0.01)
        assert status("good") == 200
        time.sleep(0.5)
        before = seconds_used(server)
        time.sleep(1)
        assert seconds_used(server) - before <= 0.03


def check_slow_head(server, result):
    """A head that comes a byte at a time ends with 408."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\n")
        sock.settimeout(1)
        for _ in range(30):
            try:
                sock.sendall(b"x")
                result.append(sock.recv(100))
                return
            except TimeoutError:
                pass


def check_sandbox():
    """As a service with MemoryDenyWriteExecute, and without @resources: prompts
    take other kernels, and threads are not pinned."""
    refuse = os.path.join(os.path.dirname(os.environ["CLSA"]), "refuse")
    if not os.access(refuse, os.X_OK):
        print("SKIP scenarios, a system that refuses calls: no", refuse)
        return
    os.environ["CLSA_EMULATOR"] = refuse + " code,service"
    try:
        with Server("-c", "512") as server:
            answer = server.post("/v1/completions", {
                "prompt": "word " * 100, "max_tokens": 2})
            assert answer[0] == 200, answer
    finally:
        del os.environ["CLSA_EMULATOR"]


def main():
    slow = []
    with Server("-c", "2048", "--prefill", "own") as server, \
            tempfile.TemporaryDirectory() as folder:
        thread = threading.Thread(target=check_slow_head, args=(server, slow))
        thread.start()
        check_queued_leaves()
        check_cut_characters(server)
        check_cut_stops(server)
        check_numbers(server)
        check_answers_while_reading(server)
        check_drain()
        check_second_signal()
        check_kill(folder)
        check_reload(folder)
        check_sandbox()
        thread.join()
        assert slow and slow[0].startswith(b"HTTP/1.1 408"), slow
    print("scenarios: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
