"""HTTP/1.1 as bytes: a service that records what reached it, and a client that sends what it is told to send."""

import re
import socket
import threading

# a connection is cut when nothing came for this long
PATIENCE = 20.0
# an attempt that is no request may get no answer at all
SHORT_PATIENCE = 4.0
# the most answers that are read of one attempt
MOST_ANSWERS = 3


class Message:
    """A request or an answer: its first line, its headers as they came, its body."""

    def __init__(self, line, headers, body):
        self.line, self.headers, self.body = line, headers, body

    def all(self, name):
        return [value for other, value in self.headers if other.lower() == name.lower()]

    def one(self, name, default=None):
        return (self.all(name) or [default])[0]

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        return " ".join(self.line.split(" ")[1:-1])

    @property
    def status(self):
        digits = self.line.split(" ")[1:2]
        return int(digits[0]) if digits and digits[0].isdigit() else 0

    def is_last(self):
        return "close" in (self.one("connection") or "").lower()


def read_head(stream):
    """First line and headers, or None at the end of the stream."""
    line = stream.readline(1 << 20)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(1 << 20)
    if not line:
        return None
    headers = []
    while (header := stream.readline(1 << 20)) not in (b"\r\n", b"\n", b""):
        name, _, value = header.decode("latin-1").rstrip("\r\n").partition(":")
        headers.append((name, value.strip()))
    return Message(line.decode("latin-1").rstrip("\r\n"), headers, b"")


def read_chunks(stream):
    body = b""
    while size := int(stream.readline(1000).split(b";")[0], 16):
        body += stream.read(size)
        stream.readline(1000)
    while stream.readline(1 << 16) not in (b"\r\n", b"\n", b""):
        pass
    return body


def read_request(stream):
    request = read_head(stream)
    if request is None:
        return None
    if "chunked" in (request.one("transfer-encoding") or "").lower():
        request.body = read_chunks(stream)
    else:
        request.body = stream.read(int(request.one("content-length") or 0))
    return request


def read_answer(stream, method):
    """The next answer that is no interim one, or None at the end of the stream."""
    answer = read_head(stream)
    while answer is not None and 100 <= answer.status < 200:
        answer = read_head(stream)
    if answer is None or method == "HEAD" or answer.status in (204, 304):
        return answer
    if "chunked" in (answer.one("transfer-encoding") or "").lower():
        answer.body = read_chunks(stream)
    elif answer.one("content-length") is not None:
        answer.body = stream.read(int(answer.one("content-length")))
    else:
        answer.body = stream.read()
    return answer


class Server:
    """Answers each connection in a thread of its own: `answer` makes an answer of a request."""

    def __init__(self, port=0):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(128)
        self.port = self.socket.getsockname()[1]
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                stream = connection.makefile("rb")
                while (request := read_request(stream)) is not None:
                    status, headers, body = self.answer(request)
                    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers)]
                    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
                    connection.sendall(head.encode("latin-1") + (b"" if request.method == "HEAD" else body))
                    if request.is_last() or request.line.endswith("1.0"):
                        return
            except (OSError, ValueError):
                return
            finally:
                self.open.discard(connection)

    def close(self):
        """With the connections that are kept."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Echo(Server):
    """Records every request."""

    def __init__(self, port=0):
        self.seen = []
        super().__init__(port)

    def answer(self, request):
        self.seen.append(request)
        return 200, [("X-Upstream", "echo")], b"echo\n"


def request(method="GET", target="/", host="api.example.com", token=None, headers=(), version="HTTP/1.1", body=b""):
    """A request as bytes; `headers` are whole lines."""
    lines = [f"{method} {target} {version}"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"Authorization: Bearer {token}"] if token is not None else []
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


class Connection:
    """One connection, on which one request follows the other."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.stream = self.socket.makefile("rb")

    def ask(self, data):
        self.socket.sendall(data)
        return read_answer(self.stream, data.split(b" ")[0].decode("latin-1"))

    def close(self):
        self.socket.close()


def ask(port, data):
    """The answer to a request on a connection of its own."""
    connection = Connection(port)
    try:
        return connection.ask(data)
    finally:
        connection.close()


def statuses(port, data):
    """The status of each answer to these bytes, be they one request or not; a connection that is cut has none."""
    found = []
    try:
        with socket.create_connection(("127.0.0.1", port), SHORT_PATIENCE) as connection:
            connection.sendall(data)
            stream = connection.makefile("rb")
            for _ in range(MOST_ANSWERS):
                answer = read_answer(stream, re.match(rb"\w*", data)[0].decode())
                if answer is None:
                    break
                found.append(answer.status)
                # whether a second one comes is known soon
                connection.settimeout(0.2)
    except (OSError, ValueError):
        pass
    return found
