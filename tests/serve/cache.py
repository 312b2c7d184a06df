# SPDX-License-Identifier: Apache-2.0
"""The prefix cache, clients that leave, limits of memory and of the queue, and
the end of clsa serve: scenarios of people who run servers."""

import http.client
import json
import os
import sys
import threading
import time

from client import Server, content

STORY = ("The history of the town begins with a river, a bridge and a mill. "
         "In the year of the flood the mill was taken away by the water. ")


def ask(server, prompt, **more):
    body = {"prompt": prompt, "max_tokens": 8, "temperature": 0, **more}
    status, answer = server.post("/v1/completions", body)
    assert status == 200, answer
    return answer


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def check_turns(server, plain):
    """A second turn finds the first one; texts are those without a cache."""
    prompt = STORY * 3
    texts = []
    for turn in range(3):
        answer = ask(server, prompt)
        texts.append(content(answer))
        if turn:
            assert cached(answer) >= before, (turn, before, answer["usage"])
        before = answer["usage"]["prompt_tokens"]
        prompt += texts[-1] + f" Then came year {turn}: " + STORY
    prompt = STORY * 3
    for turn, text in enumerate(texts):
        answer = ask(plain, prompt)
        assert content(answer) == text, (turn, content(answer), text)
        assert cached(answer) == 0
        prompt += text + f" Then came year {turn}: " + STORY
    again = ask(server, STORY * 3)
    assert content(again) == texts[0]
    assert cached(again) == again["usage"]["prompt_tokens"]


def check_branch(server):
    """Texts that part in the middle: the third finds where they did."""
    system = "You answer every question about the town in one short line. " * 10
    ask(server, system + "Who owns the mill by the river, and since when?")
    ask(server, system + "When was the bridge made, and who paid for it?")
    answer = ask(server, system + "Why is the river brown in spring?")
    assert cached(answer) > 30, answer["usage"]


def check_alternation(server):
    """Others do not take away what a chat has."""
    a, b = "A: " + STORY * 2 + "So", "B: " + STORY * 2 + "So"
    for text in (a, b, "Something else altogether, of no use to anybody. " * 5):
        ask(server, text)
    assert cached(ask(server, a + " it was.")) > 0
    assert cached(ask(server, b + " it was.")) > 0


def leave_early(server, body, wait):
    """Ask, and close the connection before the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/completions", json.dumps(body))
    time.sleep(wait)
    connection.close()


def check_leaving(server):
    """Sequences end when their clients leave, wherever they are."""
    server.wait_metric("requests_running", 0)
    long = {"prompt": "word " * 1500, "max_tokens": 300, "ignore_eos": True}
    before = server.metric("disconnects_total")
    for body, wait in ((long, 0.2), ({**long, "stream": True}, 0.2),
                       ({"prompt": "a", "max_tokens": 1900,
                         "ignore_eos": True, "stream": True}, 0.5)):
        leave_early(server, body, wait)
        server.wait_metric("requests_running", 0)
    assert server.metric("disconnects_total") >= before + 2
    server.wait_metric("requests_waiting", 0)


def check_slow_reader(server):
    """A client that does not read: its sequence waits, others go on."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/completions", json.dumps(
        {"prompt": "a", "max_tokens": 1500, "ignore_eos": True,
         "stream": True, "logprobs": 20}))
    ask(server, "The river")
    connection.close()
    server.wait_metric("requests_running", 0)


def check_queue():
    """A queue of two: others are refused, and told when to come again."""
    with Server("-c", "2048", "--max-seqs", "1", "--max-queue", "2") as server:
        results = []

        def run():
            status, headers, _ = server.request(
                "POST", "/v1/completions",
                {"prompt": "word " * 200, "max_tokens": 60,
                 "ignore_eos": True})
            results.append((status, headers.get("Retry-After")))

        threads = [threading.Thread(target=run) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [status for status, _ in results]
        assert statuses.count(200) >= 3 and 429 in statuses, statuses
        assert all(after for status, after in results if status == 429)
        assert set(statuses) == {200, 429}


def check_memory():
    """Many different prompts within a limit: snapshots go, nobody fails."""
    with Server("-c", "1024", "--max-seqs", "2", "--memory-limit", "48M",
                "--prefill", "own") as server:
        for i in range(24):
            ask(server, f"Number {i}: " + "a word " * 60, max_tokens=2)
        assert server.metric("cache_evictions_total") > 0
        limit = server.metric('memory_bytes{kind="limit"}')
        assert server.metric('memory_bytes{kind="taken"}') <= limit


def check_drain():
    """SIGTERM: streams end, and the server with them."""
    with Server("-c", "1024") as server:
        events = []

        def run():
            events.extend(server.stream("/v1/completions", {
                "prompt": "a", "max_tokens": 200, "ignore_eos": True}))

        thread = threading.Thread(target=run)
        thread.start()
        while server.metric("requests_running") == 0:
            time.sleep(0.01)
        server.terminate()
        thread.join()
        assert events[-1]["choices"][0]["finish_reason"] == "length"
        assert server.process.wait(60) == 0


def main():
    with Server("-c", "2048", "--prefill", "own") as server, \
            Server("-c", "2048", "--prefill", "own", "--cache", "off") as plain:
        check_turns(server, plain)
        check_branch(server)
        check_alternation(server)
        check_leaving(server)
        check_slow_reader(server)
        assert server.metric("prefix_cache_hits_total") > 0
        assert plain.metric("cache_snapshots") == 0
    check_queue()
    check_memory()
    check_drain()
    print("cache: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
