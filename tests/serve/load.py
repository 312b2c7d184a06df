# SPDX-License-Identifier: Apache-2.0
"""load.py [REQUESTS [CONNECTIONS]]: many requests of mixed size at once to clsa
serve, with clients that leave, clients that read slowly, and broken bodies. No
answer is an error of the server, memory does not grow, and nothing is computed
when all have gone."""

import http.client
import json
import os
import random
import sys
import threading
import time

from client import Server

WORDS = "the town river mill bridge flood year people water house old new".split()


def text(rng, most):
    """Some of them begin alike."""
    start = f"Story {rng.randrange(6)}: " + "a long time ago " * 6
    return start + " ".join(rng.choice(WORDS)
                            for _ in range(rng.randrange(most)))


def broken(rng):
    body = json.dumps({"prompt": text(rng, 20), "max_tokens": 3}).encode()
    kind = rng.randrange(4)
    if kind == 0:
        return body[:rng.randrange(len(body))]
    if kind == 1:
        at = rng.randrange(len(body))
        return body[:at] + bytes([rng.randrange(256)]) + body[at + 1:]
    if kind == 2:
        return bytes(rng.randrange(256) for _ in range(200))
    return json.dumps({"prompt": "a", "n": rng.choice([-1, 0, 1e9, None, "x"]),
                       "temperature": rng.choice([-1, 1e99, "", []])}).encode()


class Load:
    def __init__(self, server, requests):
        self.server = server
        self.left = requests
        self.lock = threading.Lock()
        self.statuses = {}
        self.failures = []

    def count(self, status):
        with self.lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def one(self, rng, connection):
        kind = rng.random()
        body = {"prompt": text(rng, rng.choice([5, 40, 200])),
                "max_tokens": rng.randrange(1, 24), "seed": rng.randrange(99),
                "stream": rng.random() < 0.5, "n": rng.choice([1, 1, 1, 2])}
        data = json.dumps(body).encode()
        if kind < 0.15:
            data = broken(rng)
        connection.request("POST", "/v1/completions", data)
        if kind > 0.85: # leaves
            time.sleep(rng.random() * 0.3)
            connection.close()
            return
        answer = connection.getresponse()
        if kind > 0.8: # slowly
            while answer.read(64):
                time.sleep(0.01)
        else:
            answer.read()
        self.count(answer.status)

    def run(self, seed):
        rng = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port,
                                                timeout=600)
        while True:
            with self.lock:
                if self.left == 0:
                    break
                self.left -= 1
            try:
                self.one(rng, connection)
            except (http.client.HTTPException, OSError) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def memory(server):
    """Resident bytes."""
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def seconds_used(server):
    with open(f"/proc/{server.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(server, requests, connections):
    load = Load(server, requests)
    threads = [threading.Thread(target=load.run, args=(i,))
               for i in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not load.failures, load.failures[:5]
    bad = {s: n for s, n in load.statuses.items() if s not in (200, 400, 429)}
    assert not bad and load.statuses[200] > 0, load.statuses
    server.wait_metric("requests_running", 0)
    server.wait_metric("requests_waiting", 0)
    return load.statuses


def main():
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    with Server("-c", "1024", "--memory-limit", "128M",
                "--max-queue", "256") as server:
        sizes = []
        for _ in range(10):
            statuses = run(server, requests // 10, connections)
            sizes.append(memory(server))
        time.sleep(1)
        before = seconds_used(server)
        time.sleep(2)
        assert seconds_used(server) - before <= 0.05
        print(f"load: {statuses}, "
              f"{' '.join(str(size >> 20) for size in sizes)} MiB")
        assert server.get("/health")[0] == 200
        if requests >= 10000:
            assert sizes[-1] <= 1.01 * max(sizes[1:4]), sizes
    print("load: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
