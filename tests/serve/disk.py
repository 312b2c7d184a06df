# SPDX-License-Identifier: Apache-2.0
"""The prefix cache on the disk: it outlives the server, and is taken as it was
computed; files that are damaged, foreign or too many go."""

import glob
import os
import signal
import subprocess
import sys
import tempfile
import time

from client import Server, content
from scenarios import LONG, open_request

OWN = ("-c", "2048", "--prefill", "own")
SHORT = ("-c", "512", "--prefill", "own")
STORY = ("The history of the town begins with a river, a bridge and a mill. "
         "In the year of the flood the mill was taken away by the water. ")


def ask(server, prompt, headers=None, **more):
    status, answer = server.post(
        "/v1/completions",
        {"prompt": prompt, "max_tokens": 12, "temperature": 0, **more}, headers)
    assert status == 200, answer
    return answer


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def files(folder):
    return sorted(glob.glob(os.path.join(folder, "*.session")))


def check_restart(folder):
    """The next server has what the last one knew, of the same bytes."""
    prompts = [f"Part {i}: " + STORY * (2 + i) for i in range(3)]
    with Server(*OWN, "--cache-dir", folder) as server:
        answers = [content(ask(server, prompt)) for prompt in prompts]
        assert not files(folder)  # not before it ends, with memory enough
        assert server.close() == 0
    assert len(files(folder)) >= 6, files(folder)
    for file in files(folder):
        assert os.stat(file).st_mode & 0o777 == 0o600
    assert os.stat(folder).st_mode & 0o777 == 0o700
    with Server(*OWN, "--cache-dir", folder) as server:
        assert server.metric("cache_snapshots") == 0
        assert server.metric("cache_disk_files") == len(files(folder))
        for prompt, before in zip(prompts, answers):
            answer = ask(server, prompt)
            assert content(answer) == before
            assert cached(answer) == answer["usage"]["prompt_tokens"]
            turn = ask(server, prompt + before + " And then?")
            assert cached(turn) >= answer["usage"]["total_tokens"] - 2, turn
        assert server.metric("cache_disk_hits_total") >= 3
        assert cached(ask(server, prompts[0])) > 0  # from memory now
    with Server(*OWN) as plain:
        turn_plain = content(ask(plain, prompts[2] + answers[2] + " And then?"))
        assert turn_plain == content(turn)


def check_keys(folder):
    """A client never finds what another key has asked for."""
    keys = os.path.join(folder, "keys")
    cache = os.path.join(folder, "cache")
    with open(keys, "w") as file:
        file.write("one\ntwo\n")
    for first in (True, False):
        with Server(*SHORT, "--cache-dir", cache, "--api-key-file",
                    keys) as server:
            def got(key):
                return cached(ask(server, STORY * 4,
                                  {"Authorization": "Bearer " + key}))
            assert (got("one") == 0) == first
            if not first:
                assert got("two") == 0


def check_rubbish(folder):
    """Damaged files, and files of others under names of ours, are taken away
    and said; the answer is as without them. Other names are left alone."""
    with Server(*SHORT, "--cache-dir", folder) as server:
        before = content(ask(server, STORY * 4))
    names = files(folder)
    mine = os.path.join(folder, "notes.session")
    with open(mine, "w") as file:
        file.write("not of the server")
    with open(os.path.join(folder, "writing"), "w") as file:
        file.write("half a file of a server that was killed")
    with open(names[0], "rb") as file:
        data = bytearray(file.read())
    for change in ("cut", "bit", "other"):
        for name in names:
            with open(name, "wb") as file:
                if change == "cut":
                    file.write(data[:len(data) // 2])
                elif change == "bit":
                    file.write(data[:-100] + bytes([data[-100] ^ 1]) +
                               data[-99:])
                else:
                    file.write(b"GGUF of somebody")
        with Server(*SHORT, "--cache-dir", folder) as server:
            answer = ask(server, STORY * 4)
            assert cached(answer) == 0 and content(answer) == before
            assert "is removed" in server.text(), server.text()
        assert files(folder) == sorted([*names, mine]), files(folder)
    assert not os.path.exists(os.path.join(folder, "writing"))


def check_size(folder):
    """The files together stay below the limit, and the last ones are there."""
    limit = 4 << 20
    with Server(*SHORT, "--cache-dir", folder, "--cache-dir-size", "4M",
                "--memory-limit", "40M", "--max-seqs", "2") as server:
        for i in range(16):
            ask(server, f"Number {i}: " + STORY * 4, max_tokens=2)
            assert sum(map(os.path.getsize, files(folder))) <= limit
        assert server.metric("cache_evictions_total") > 0
        assert files(folder)  # of what memory had no room for
        assert server.close() == 0
    assert 0 < sum(map(os.path.getsize, files(folder))) <= limit
    with Server(*SHORT, "--cache-dir", folder, "--cache-dir-size",
                "4M") as server:
        assert cached(ask(server, "Number 15: " + STORY * 4)) > 0


def check_kill(folder):
    """kill -9 while files are written: those with names are whole."""
    for wait in (0.0, 0.02, 0.05):
        with Server(*SHORT, "--cache-dir", folder) as server:
            for i in range(10):
                ask(server, f"Kill {wait} {i}: " + STORY * 3, max_tokens=2)
            before = set(files(folder))
            server.terminate()
            time.sleep(wait)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        assert before <= set(files(folder))  # nothing is lost
    with Server(*SHORT, "--cache-dir", folder) as server:
        assert not os.path.exists(os.path.join(folder, "writing"))
        for i in range(10):
            ask(server, f"Kill 0.05 {i}: " + STORY * 3, max_tokens=2)
        assert "is removed" not in server.text(), server.text()


def check_second_server(folder):
    """A folder is one server's."""
    with Server(*SHORT, "--cache-dir", folder):
        done = subprocess.run(
            [os.environ["CLSA"], "serve", "-m", os.environ["CLSA_TEST_MODEL"],
             "--port", "0", *SHORT, "--cache-dir", folder],
            capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, done
        assert "another server uses it" in done.stderr, done.stderr


def check_drain_with_stream(folder):
    """A stream that runs ends before the cache is written."""
    with Server(*OWN, "--cache-dir", folder) as server:
        stream = open_request(server, {
            **LONG, "prompt": "Streams: " + STORY * 4, "max_tokens": 100})
        server.wait_metric("requests_running", 1)
        assert server.close() == 0
        assert stream.getresponse().read().endswith(b"data: [DONE]\n\n")
    assert len(files(folder)) == 2


def main():
    checks = (check_restart, check_keys, check_rubbish, check_size, check_kill,
              check_second_server, check_drain_with_stream)
    for check in checks:
        with tempfile.TemporaryDirectory() as folder:
            inside = os.path.join(folder, "new")
            if check is check_keys:
                os.mkdir(inside)
            check(inside)
    print("disk: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
