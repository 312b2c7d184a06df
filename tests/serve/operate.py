# SPDX-License-Identifier: Apache-2.0
"""How clsa serve is started and run: addresses, socket files, sockets and
messages of a service manager, keys that change."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from client import Server

SHORT = {"prompt": "The town", "max_tokens": 2}


def run(*arguments):
    """Exit status and messages of a server that does not start."""
    done = subprocess.run(
        [os.environ["CLSA"], "serve", "-m", os.environ["CLSA_TEST_MODEL"],
         "--port", "0", *arguments], capture_output=True, text=True,
        timeout=60, check=False)
    return done.returncode, done.stderr


def check_refusals(folder):
    status, text = run("--host", "0.0.0.0")
    assert status == 2 and "--api-key-file" in text, text
    status, text = run("--api-key-file", os.path.join(folder, "none"))
    assert status == 1 and "none" in text, text
    status, text = run("--cache", "some")
    assert status == 2 and "--cache" in text, text
    status, text = run("-m", os.path.join(folder, "no.gguf"))
    assert status == 1 and "no.gguf" in text, text
    empty = os.path.join(folder, "empty")
    with open(empty, "w") as file:
        file.write("# nothing\n")
    status, text = run("--api-key-file", empty)
    assert status == 1 and "no key" in text, text


def http_over(path, request):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(request)
        sock.settimeout(20)
        return sock.recv(65536)


def check_socket_file(folder):
    path = os.path.join(folder, "socket")
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path) # that somebody left
    with Server("-c", "256", "--unix", path) as server:
        answer = http_over(path, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        assert os.stat(path).st_mode & 0o777 == 0o660
        assert server.close() == 0
    assert not os.path.exists(path)


def check_keys(folder):
    path = os.path.join(folder, "keys")
    with open(path, "w") as file:
        file.write("old\n")
    with Server("-c", "256", "--api-key-file", path) as server:
        def status(key):
            return server.post("/v1/completions", SHORT,
                               {"Authorization": "Bearer " + key})[0]
        assert status("old") == 200 and status("new") == 401
        with open(path, "w") as file:
            file.write("new\n")
        server.process.send_signal(signal.SIGHUP)
        for _ in range(200):
            if status("new") == 200:
                break
            time.sleep(0.05)
        assert status("new") == 200 and status("old") == 401


def as_third(given):
    """Descriptor 3, as a service manager has it."""
    os.dup2(given.fileno(), 3)
    os.set_inheritable(3, True)


def check_manager(folder):
    """A socket that is given, and what the manager is told."""
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, \
            socket.socket() as given:
        told.bind(path)
        told.settimeout(60)
        given.bind(("127.0.0.1", 0))
        given.listen()
        port = given.getsockname()[1]
        process = subprocess.Popen(
            ["sh", "-c", "LISTEN_PID=$$ exec \"$CLSA\" serve -c 256 "
             "-m \"$CLSA_TEST_MODEL\""],
            env={**os.environ, "NOTIFY_SOCKET": path, "LISTEN_FDS": "1",
                 "WATCHDOG_USEC": "200000"},
            preexec_fn=lambda: as_third(given), close_fds=False,
            stderr=subprocess.DEVNULL)
        assert told.recv(100) == b"READY=1"
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert told.recv(100) == b"WATCHDOG=1"
        process.terminate()
        while told.recv(100) != b"STOPPING=1":
            pass
        assert process.wait(60) == 0


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_refusals(folder)
        check_socket_file(folder)
        check_keys(folder)
        check_manager(folder)
    print("operate: passed")


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(__file__))
    main()
