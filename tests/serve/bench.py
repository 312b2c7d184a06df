# SPDX-License-Identifier: Apache-2.0
"""clsa bench serve: against clsa serve, and against servers that answer badly.
How long anything takes is not looked at."""

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading

from chat import TEMPLATE, with_template
from client import Server

TIMES = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms")


def bench(url, *arguments):
    """Exit status, result and what was said."""
    done = subprocess.run(
        [os.environ.get("CLSA", "./clsa"), "bench", "serve", "--json",
         *arguments, url], capture_output=True, text=True, timeout=300)
    result = json.loads(done.stdout) if done.stdout else None
    return done.returncode, result, done.stderr


def check_times(result):
    for name in TIMES:
        times = result[name]
        assert 0 <= times["p50"] <= times["p90"] <= times["p99"], result


def check_loops(server):
    url = f"http://127.0.0.1:{server.port}"
    size = ("--requests", "9", "--prompt-tokens", "100", "--tokens", "5")
    status, closed, said = bench(url, *size, "--clients", "3")
    assert status == 0 and said == "", said
    assert closed["clients"] == 3 and closed["completed"] == 9
    assert closed["errors"] == 0 and closed["output_tokens"] == 45
    assert abs(closed["prompt_tokens"] / 9 - 100) < 10, closed
    assert closed["rate"] is None and closed["goodput"] is None
    check_times(closed)
    status, opened, _ = bench(url + "/v1/", *size, "--rate", "500",
                              "--completions", "--slo-ttft", "1000000")
    assert status == 0 and opened["rate"] == 500 and opened["goodput"] == 1
    assert opened["completed"] == 9 and 1 <= opened["clients"] <= 9
    check_times(opened)
    bad = bench(url, *size, "--completions", "--slo-tpot", "0.001")[1]
    assert bad["goodput"] == 0 and bad["clients"] == 1
    # no prompt had a beginning that another one had
    assert opened["cached_tokens"] == 0
    status, long, said = bench(url, "--requests", "2", "--tokens", "5000")
    assert status == 1 and long["errors"] == 2 and long["ttft_ms"] is None
    assert "2 requests failed" in said and "maximum context" in said


def event(text=None, finish=None, **more):
    return "data: " + json.dumps({
        "choices": [{"delta": {"content": text} if text else {},
                     "finish_reason": finish}], **more}) + "\n\n"


def pieces(*texts):
    return "".join(event(text) for text in texts)


class Odd(http.server.BaseHTTPRequestHandler):
    """Streams that are whole, cut, refused, or have an error."""

    answers = [
        (200, event() + pieces("a", "b", "c") + event(finish="length") +
         "data: [DONE]\n\n"),
        (200, ": ping\n\n" + pieces("a") + event("b", "stop")),
        (200, pieces("a", "b") + "data: [DONE]\n\n"),  # no reason, so cut
        (200, event(finish="stop") + "data: [DONE]\n\n"),  # without text
        (200, pieces("a") + 'data: {"error": {"message": "no room"}}\n\n'),
        (200, "data: {not json}\n\n"),
        (503, '{"error": {"message": "come again"}}'),
        (404, "<html>"),
    ]
    count = 0

    def answer(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        assert self.path == "/v1/models"
        self.answer(200, '{"data": [{"id": "odd"}]}')

    def do_POST(self):
        body = json.loads(
            self.rfile.read(int(self.headers["Content-Length"])))
        assert body["model"] == "odd" and body["messages"]
        if "stream" not in body:  # it is asked for its count
            self.answer(200, "{}")
            return
        Odd.count += 1
        self.answer(*self.answers[Odd.count - 1])

    def log_message(self, *_):
        pass


def check_odd():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    status, result, said = bench(
        f"http://127.0.0.1:{server.server_port}", "--requests",
        str(len(Odd.answers)), "--prompt-tokens", "3")
    server.shutdown()
    assert status == 0 and result["completed"] == 2, (result, said)
    assert result["errors"] == 6 and result["output_tokens"] == 5
    assert "a word is taken as one" in said
    assert "6 requests failed; the first: the stream ended" in said, said


def main():
    if "no libcurl" in bench("http://127.0.0.1:1")[2]:
        print("SKIP bench serve: this build has no libcurl")
        return
    check_odd()
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "chat.gguf")
        with_template(TEMPLATE, model)
        with Server("-c", "1024", model=model) as server:
            check_loops(server)
    print("bench: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
