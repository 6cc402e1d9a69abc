"""HTTP/1.1 by hand, over many connections in one thread. A request costs about 30 us here: the generator must not be
what limits the load.

A job is a generator. It yields requests and is sent the answers; it returns if they were right, and raises Wrong if not.
"""

import select
import socket
import time
from collections import defaultdict

# after so many seconds without an answer a request has failed
PATIENCE = 10.0
# jeton and nginx keep a silent connection for 75 seconds: one is not used again after this time, so nobody races with them
IDLE = 20.0


class Wrong(Exception):
    """An answer that is not the right one."""


class Answer:
    """Status 0: the connection ended without an answer."""

    __slots__ = ("status", "head", "body")

    def __init__(self, status, head=b"", body=b""):
        self.status, self.head, self.body = status, head, body

    def header(self, name):
        """The value of a header, or nothing. Its name in small letters."""
        at = self.head.lower().find(b"\r\n" + name + b":")
        if at < 0:
            return b""
        at += len(name) + 3
        end = self.head.find(b"\r\n", at)
        return self.head[at:end if end >= 0 else None].strip()

    def must(self, holds, why):
        if not holds:
            raise Wrong(f"{why}: status {self.status}, {self.body[:300]!r}")

    def __str__(self):
        return f"status {self.status}, {self.body[:300]!r}"


class Request:
    """To a port of this machine. Fresh: over a connection of its own, which ends with the answer."""

    __slots__ = ("port", "data", "fresh")

    def __init__(self, port, data, fresh=False):
        self.port, self.data, self.fresh = port, data, fresh


class Job:
    __slots__ = ("kind", "steps", "due", "done")

    def __init__(self, kind, steps, due, done=0):
        self.kind, self.steps, self.due, self.done = kind, steps, due, done


class Connection:
    __slots__ = ("socket", "port", "buffer", "job", "used", "fresh")

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.port, self.buffer, self.job, self.used, self.fresh = port, b"", None, 0.0, False


class Loop:
    """Runs jobs, and tells `ended(job, why)` of each: why it failed, or None."""

    def __init__(self, slots, ended):
        self.slots, self.ended = slots, ended
        self.jobs = 0
        self.poll = select.epoll()
        self.connections = {}
        self.idle = defaultdict(list)
        self.looked = time.monotonic()

    @property
    def full(self):
        return self.jobs >= self.slots

    def start(self, kind, steps, due):
        self.jobs += 1
        self._resume(Job(kind, steps, due), None)

    def turn(self, timeout):
        """Waits at most so many seconds for answers, and takes those that came."""
        for number, _ in self.poll.poll(timeout):
            connection = self.connections.get(number)
            if connection is not None:
                self._receive(connection)
        now = time.monotonic()
        if now - self.looked > 1:
            self.looked = now
            for connection in list(self.connections.values()):
                if connection.job is not None and now - connection.used > PATIENCE:
                    self._close(connection)
                    self._fail(connection.job, f"no answer within {PATIENCE:g} s")

    def finish(self):
        """Waits for what is under way, and closes everything."""
        deadline = time.monotonic() + PATIENCE + 2
        while self.jobs and time.monotonic() < deadline:
            self.turn(0.1)
        for connection in list(self.connections.values()):
            self._close(connection)
        self.poll.close()

    def _resume(self, job, answer):
        try:
            request = job.steps.send(answer)
        except StopIteration:
            self.jobs -= 1
            self.ended(job, None)
            return
        except Wrong as wrong:
            self._fail(job, str(wrong))
            return
        job.done += 1
        try:
            connection = self._connection(request)
        except OSError as error:
            self._resume(job, Answer(0, body=f"not connected: {error}".encode()))
            return
        connection.job, connection.used, connection.fresh = job, time.monotonic(), request.fresh
        try:
            sent = connection.socket.send(request.data)
            if sent < len(request.data):
                connection.socket.settimeout(PATIENCE)
                connection.socket.sendall(request.data[sent:])
                connection.socket.setblocking(False)
        except OSError:
            # closed by the server, perhaps behind an answer that is still to be read
            connection.socket.setblocking(False)

    def _connection(self, request):
        idle = self.idle[request.port]
        if not request.fresh:
            while idle:
                connection = idle.pop()
                if time.monotonic() - connection.used < IDLE:
                    return connection
                self._close(connection)
        connection = Connection(request.port)
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _receive(self, connection):
        try:
            data = connection.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        job = connection.job
        if not data:
            if job is None:
                self.idle[connection.port].remove(connection)
            self._close(connection)
            if job is not None:
                self._resume(job, Answer(0, body=b"the connection ended"))
            return
        connection.buffer = connection.buffer + data if connection.buffer else data
        answer, closes = parse(connection.buffer)
        if answer is None or job is None:
            return
        connection.buffer, connection.job = b"", None
        if closes or connection.fresh:
            self._close(connection)
        else:
            self.idle[connection.port].append(connection)
        self._resume(job, answer)

    def _close(self, connection):
        self.connections.pop(connection.socket.fileno(), None)
        connection.socket.close()

    def _fail(self, job, why):
        self.jobs -= 1
        job.steps.close()
        self.ended(job, why)


def parse(data):
    """An answer that is complete, and whether its connection ends; or None. Bodies have a length."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None, False
    # an answer that is none has the status of a connection that ended
    status, head = int(data[9:12]) if data[9:12].isdigit() else 0, data[:end]
    small = head.lower()
    at = small.find(b"\r\ncontent-length:")
    length = 0
    if at >= 0:
        stop = small.find(b"\r\n", at + 17)
        length = int(small[at + 17:stop if stop >= 0 else None])
    elif b"\r\ntransfer-encoding:" in small:
        if not data.endswith(b"0\r\n\r\n"):
            return None, False
        length = len(data) - end - 4
    if status == 304:
        length = 0
    if len(data) < end + 4 + length:
        return None, False
    return Answer(status, head, data[end + 4:end + 4 + length]), b"\r\nconnection: close" in small
