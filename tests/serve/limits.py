# SPDX-License-Identifier: Apache-2.0
"""Timeouts of clsa serve, bodies that are too large, and what /metrics tells: histograms, answers by path
and status."""

import http.client
import json
import os
import re
import sys

from client import Server

SHORT = {"prompt": "The town", "max_tokens": 6, "temperature": 0}
LONG = {**SHORT, "max_tokens": 30000, "ignore_eos": True}


def check_queue_timeout():
    """One request runs; another one waits for its place in vain."""
    with Server("-c", "32768", "--max-seqs", "1", "--queue-timeout",
                "1") as server:
        first = http.client.HTTPConnection("127.0.0.1", server.port)
        first.request("POST", "/v1/completions", json.dumps(LONG))
        server.wait_metric("requests_running", 1)
        status, answer = server.post("/v1/completions", SHORT)
        assert status == 504, answer
        assert answer["error"]["code"] == "queue_timeout", answer
        assert answer["error"]["type"] == "timeout_error"
        status, answer = server.post("/api/generate", {
            "prompt": "The town", "stream": True})
        assert status == 504 and "1 seconds" in answer["error"], answer
        server.wait_metric('requests_total{end="late"}', 2)
        assert server.metric("requests_waiting") == 0
        assert server.metric("requests_running") == 1
        first.close()
        assert server.close() == 0


def check_request_timeout():
    with Server("-c", "32768", "--request-timeout", "1") as server:
        status, answer = server.post("/v1/completions", LONG)
        assert status == 504, answer
        assert answer["error"]["code"] == "request_timeout", answer
        status, _, text = server.request("POST", "/v1/completions",
                                         {**LONG, "stream": True})
        events = text.decode().split("\n\n")
        assert status == 200 and events[-1] == ""
        assert json.loads(events[0][len("data: "):])["choices"]
        error = json.loads(events[-2][len("data: "):])["error"]
        assert error["code"] == "request_timeout", error
        server.wait_metric("requests_running", 0)
        assert server.metric('requests_total{end="late"}') == 2
        assert server.post("/v1/completions", SHORT)[0] == 200
        assert server.close() == 0


def histogram(server, name):
    """Its buckets, sum and count."""
    text = server.get("/metrics")[1].decode()
    buckets = [int(n) for n in re.findall(
        rf'^clsa_{name}_bucket{{le="[^"]+"}} (\d+)$', text, re.M)]
    assert f'clsa_{name}_bucket{{le="+Inf"}} {buckets[-1]}\n' in text
    assert buckets == sorted(buckets)
    return buckets, server.metric(name + "_sum"), server.metric(name + "_count")


def check_metrics():
    with Server("-c", "1024") as server:
        for i in range(3):
            server.post("/v1/completions", {**SHORT, "n": 1 + (i == 2),
                                            "ignore_eos": True})
        server.post("/completions", {})
        server.get("/nothing")
        server.get("/health")
        for name, count in (("time_to_first_token_seconds", 3),
                            ("request_queue_time_seconds", 3),
                            ("e2e_request_latency_seconds", 3),
                            ("inter_token_latency_seconds", 4 * 5)):
            buckets, total, counted = histogram(server, name)
            assert counted == buckets[-1] == count, (name, buckets)
            assert total >= 0
        assert histogram(server, "e2e_request_latency_seconds")[1] >= \
            histogram(server, "time_to_first_token_seconds")[1] > 0
        text = server.get("/metrics")[1].decode()
        for line in ('{route="/completions",code="200"} 3',
                     '{route="/completions",code="400"} 1',
                     '{route="other",code="404"} 1'):
            assert "clsa_http_requests_total" + line + "\n" in text, text


def check_large_bodies():
    """A body of unknown length, which turns out to be too large."""
    with Server("-c", "256", "--max-body", "2K") as server:
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        head = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n")
        for count, status in ((2, b"400"), (3, b"413"), (40, b"413")):
            answer = server.raw(head + chunk * count + b"0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert server.get("/health")[0] == 200


def main():
    check_large_bodies()
    check_queue_timeout()
    check_request_timeout()
    check_metrics()
    print("limits: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
