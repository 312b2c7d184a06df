#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clsa run -i at a terminal, and standard streams as others leave them.

Environment: CLSA (the program, default ./clsa), CLSA_EMULATOR (under one
nothing is run), CLSA_MODEL. Exit status 77: skipped.
"""
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.realpath(os.environ.get('CLSA', './clsa'))
failed = []


def expect(what, ok, shown=b''):
    print('ok' if ok else 'FAILED', what)
    if not ok:
        failed.append(what)
        print('    shown:', shown[-400:])


class Terminal:
    """The program at a terminal of its own."""

    def __init__(self, *arguments):
        self.shown = b''
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'dumb'
            for number in signal.SIGINT, signal.SIGHUP, signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
            os.execv(PROGRAM, [PROGRAM, 'run', '-i', *arguments])

    def wait_for(self, text, seconds=60):
        """Read until a text is shown that was not shown before."""
        start, end = len(self.shown), time.time() + seconds
        while text not in self.shown[start:] and time.time() < end:
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536)
                except OSError:
                    break
        return text in self.shown[start:]

    def type(self, text):
        for i in range(0, len(text), 500):
            os.write(self.fd, text[i:i + 500])
            time.sleep(0.02)

    def status(self, seconds=60):
        """The exit status; the program is killed if it does not end."""
        end, pid = time.time() + seconds, 0
        while pid == 0:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0 and time.time() > end:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.02)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def long_line():
    t = Terminal('-n', '2', '--temp', '0', '-v')
    t.wait_for(b'> ')
    t.type(b'word ' * 1200 + b'END\n')
    t.wait_for(b'generated')
    t.wait_for(b'> ')
    t.type(b'\x04')
    status = t.status()
    found = re.findall(rb'read (\d+) tokens', t.shown)
    expect('a line of 6,000 bytes is read whole, or its cut is told',
           status == 0 and (int(found[0]) > 1200 or b'4095' in t.shown),
           t.shown)


def interrupt_answer():
    t = Terminal('-p', 'The history of', '--temp', '0', '-c', '128K', '-v')
    t.wait_for(b'read')
    time.sleep(0.5)
    t.type(b'\x03')
    expect('Ctrl-C stops the answer', t.wait_for(b'> '), t.shown)
    t.type(b'one \\\ntwo\n')
    expect('the conversation goes on', t.wait_for(b'clsa: read'), t.shown)
    time.sleep(0.5)
    t.type(b'\x03')
    t.wait_for(b'> ')
    t.type(b'\x03')
    expect('Ctrl-C at the prompt ends the program', t.status() == 130, t.shown)


def close_window(folder):
    session = os.path.join(folder, 'chat')
    t = Terminal('-p', 'The ferry', '-n', '4', '--session', session)
    t.wait_for(b'> ')
    os.kill(t.pid, signal.SIGHUP)
    status = t.status()
    expect('a closed window saves the session',
           status == 130 and os.path.exists(session), t.shown)


def streams(make, name):
    """Both streams non-blocking, a writer and a reader that take their time."""
    (in_theirs, in_ours), (out_ours, out_theirs) = make(), make()
    for fd in in_theirs, out_theirs:
        os.set_blocking(fd, False)
    text = b'The ferry was late. ' * 5000
    p = subprocess.Popen([PROGRAM, 'tokenize', '-f', '-'], stdin=in_theirs,
                         stdout=out_theirs)
    for fd in in_theirs, out_theirs:
        os.close(fd)
    time.sleep(0.3)
    for i in range(0, len(text), 30000):
        os.write(in_ours, text[i:i + 30000])
        time.sleep(0.05)
    os.close(in_ours)
    got = b''
    time.sleep(0.5)
    while True:
        block = os.read(out_ours, 65536)
        if not block:
            break
        got += block
        time.sleep(0.01)
    os.close(out_ours)
    plain = subprocess.run([PROGRAM, 'tokenize', '-f', '-'], input=text,
                           stdout=subprocess.PIPE, check=True).stdout
    expect(f'non-blocking {name}: nothing is lost',
           p.wait() == 0 and got == plain, got)


def sockets():
    a, b = socket.socketpair()
    return a.detach(), b.detach()


def main():
    if os.environ.get('CLSA_EMULATOR'):
        print('SKIP terminal: too slow under an emulator')
        return 77
    long_line()
    interrupt_answer()
    with tempfile.TemporaryDirectory() as folder:
        close_window(folder)
    streams(os.pipe, 'pipes')
    streams(sockets, 'sockets')
    return 1 if failed else 0


sys.exit(main())
