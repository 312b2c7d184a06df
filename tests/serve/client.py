# SPDX-License-Identifier: Apache-2.0
"""A server that is started for a test, and requests to it, by Python's standard
library alone."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time


class Server:
    """clsa serve on a free port, with further arguments."""

    def __init__(self, *arguments, model=None):
        program = os.environ.get("CLSA", "./clsa")
        emulator = os.environ.get("CLSA_EMULATOR", "").split()
        model = model or os.environ["CLSA_TEST_MODEL"]
        self.log = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            [*emulator, program, "serve", "-m", model, "--port", "0",
             *arguments], stderr=self.log, stdout=self.log)
        self.port = self._find_port()
        self._wait_until_ready()

    def text(self):
        """What it has said."""
        self.log.seek(0)
        return self.log.read()

    def _find_port(self):
        for _ in range(600):
            found = re.search(r"http://127.0.0.1:(\d+)", self.text())
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("no server: " + self.text())

    def _wait_until_ready(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                raise RuntimeError("the server ended: " + self.text())
            if self.get("/health")[0] == 200:
                return
            time.sleep(0.05)
        raise RuntimeError("not ready: " + self.text())

    def request(self, method, path, body=None, headers=None):
        """Status, headers and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=300)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, answer.headers, text

    def get(self, path, headers=None):
        status, _, text = self.request("GET", path, headers=headers)
        return status, text

    def post(self, path, body, headers=None):
        """Status and value of an answer."""
        status, _, text = self.request("POST", path, body, headers)
        return status, json.loads(text)

    def stream(self, path, body):
        """The events of a stream; it has to end with [DONE]."""
        status, headers, text = self.request("POST", path,
                                             {**body, "stream": True})
        assert status == 200, text
        assert headers["Content-Type"].startswith("text/event-stream")
        events = [part[len("data: "):]
                  for part in text.decode().split("\n\n")
                  if part.startswith("data: ")]
        assert events[-1] == "[DONE]", events[-1]
        return [json.loads(event) for event in events[:-1]]

    def metric(self, name):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.split(" ")[0] == "clsa_" + name:
                return float(line.split(" ")[1])
        raise KeyError(name)

    def wait_metric(self, name, value, seconds=20):
        """Wait until a metric has a value."""
        end = time.time() + seconds
        while time.time() < end:
            if self.metric(name) == value:
                return
            time.sleep(0.02)
        raise AssertionError(f"{name} is {self.metric(name)}, not {value}")

    def raw(self, data, seconds=10):
        """Bytes as they are; what comes back until it is closed."""
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.settimeout(seconds)
            sock.sendall(data)
            answer = b""
            try:
                while True:
                    part = sock.recv(65536)
                    if not part:
                        break
                    answer += part
                    if b"\r\n\r\n" in answer and b"Connection: close" not in \
                            answer and len(answer) > 12:
                        break
            except (TimeoutError, ConnectionResetError):
                pass
            return answer

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        """End it; its exit status."""
        if self.process.poll() is None:
            self.terminate()
        status = self.process.wait(60)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.close()
        finally:
            if self.process.poll() is None:
                self.process.kill()


def content(answer):
    """The text of the first choice of an answer."""
    choice = answer["choices"][0]
    return choice["text"] if "text" in choice else choice["message"]["content"]


def joined(events, index=0):
    """The text of a choice of a stream."""
    text = ""
    for event in events:
        for choice in event["choices"]:
            if choice["index"] == index:
                text += choice.get("text") or \
                    choice.get("delta", {}).get("content") or ""
    return text
