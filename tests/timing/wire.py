"""One connection that is kept, and how long each answer on it takes."""

import socket
import time


class Connection:
    """A connection to a port of this machine. All answers on it must have one length."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(64 * 1024)
        self.length = None

    def learn(self, request):
        """An answer as text; the first sets the length of all."""
        self.socket.sendall(request)
        text = b""
        while b"\r\n\r\n" not in text or len(text) < length_of(text):
            part = self.socket.recv(64 * 1024)
            if not part:
                raise ConnectionError(f"the server hung up: {text!r}")
            text += part
        self.length = self.length or len(text)
        return text.decode()

    def time(self, request, planted):
        """Nanoseconds from the sending to the end of the answer, and so many more."""
        send, receive, buffer, length, now = (
            self.socket.send, self.socket.recv_into, self.buffer, self.length, time.perf_counter_ns,
        )
        start = now()
        send(request)
        got = receive(buffer)
        if planted:
            end = now() + planted
            while now() < end:
                pass
        took = now() - start
        if got != length or not buffer.startswith(b"HTTP/1.1 401 "):
            raise ConnectionError(f"another answer than the first: {bytes(buffer[:got])!r}")
        return took


def length_of(text):
    """The length of the answer that begins so."""
    head, _, _ = text.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return len(head) + 4 + int(lengths[0])


def measure(connection, pools, planted, rounds, chance):
    """Each class once in each round, in random order. Of each: the times of its own answers, and of the answers to whatever
    was asked next, which wait for what the server still does behind an answer."""
    own = [[] for _ in pools]
    next_ones = [[] for _ in pools]
    order, before = list(range(len(pools))), None
    for _ in range(rounds):
        chance.shuffle(order)
        for place in order:
            took = connection.time(chance.choice(pools[place]), planted[place])
            own[place].append(took)
            if before is not None:
                next_ones[before].append(took - planted[place])
            before = place
    next_ones[before].append(connection.time(chance.choice(pools[0]), 0))
    return own, next_ones
