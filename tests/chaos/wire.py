"""Requests over sockets: each on a connection of its own, so that what came of it is never in doubt."""

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import urllib.parse
from dataclasses import dataclass, field

from history import CUT, LATE, REFUSED, UNREACHED

PATIENCE = 3.0


@dataclass
class Answer:
    """What came of a request. Without a status, `fail` says why."""

    begin: float
    end: float = 0.0
    status: int | None = None
    fail: str | None = None
    headers: dict = field(default_factory=dict)
    body: bytes = b""

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class Wire:
    """Asks, and notes when. One clock for all: that of the recorder."""

    def __init__(self, recorder):
        self.now = recorder.now

    async def ask(self, address, method, path, headers=(), form=None, patience=PATIENCE):
        answer = Answer(self.now())
        body = urllib.parse.urlencode(form).encode() if form is not None else b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Connection: close"]
        if form is not None:
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        question = "\r\n".join([*lines, "", ""]).encode() + body
        try:
            async with asyncio.timeout(patience):
                await self._exchange(answer, address, question)
        except TimeoutError:
            answer.fail = LATE
        answer.end = self.now()
        return answer

    async def _exchange(self, answer, address, question):
        loop = asyncio.get_running_loop()
        with socket.socket() as link:
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(link, address)
            except OSError as error:
                answer.fail = REFUSED if isinstance(error, ConnectionRefusedError) else UNREACHED
                return
            came = b""
            # what was said before a reset counts if it is whole
            with contextlib.suppress(OSError):
                await loop.sock_sendall(link, question)
                while more := await loop.sock_recv(link, 65536):
                    came += more
                    if whole(came):
                        break
            if not whole(came):
                answer.fail = CUT
                return
            head, _, answer.body = came.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            answer.status = int(first.split()[1])
            pairs = (line.partition(":") for line in lines)
            answer.headers = {name.lower(): value.strip() for name, _, value in pairs}

    async def certificate(self, address, patience=PATIENCE):
        """The certificate (DER) that a listener shows; an answer of status 200 if there was a handshake."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = Answer(self.now())
        try:
            async with asyncio.timeout(patience):
                _, writer = await asyncio.open_connection(*address, ssl=context)
                answer.body = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                answer.status = 200
                writer.transport.abort()
        except TimeoutError:
            answer.fail = LATE
        except ConnectionRefusedError:
            answer.fail = REFUSED
        except (ssl.SSLError, ConnectionError):
            answer.fail = CUT
        except OSError:
            answer.fail = UNREACHED
        answer.end = self.now()
        return answer


def whole(came):
    """Whether all of an answer has come, by its length; one without a length ends with its connection, and none is here."""
    head, found, body = came.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
        if name.lower() == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return head.startswith((b"HTTP/1.1 304", b"HTTP/1.1 204"))


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def opened(jwt):
    """Header and claims of a compact JWS, unchecked."""
    def part(text):
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    header, claims, _ = jwt.split(".")
    return part(header), part(claims)


def basic(client, secret):
    text = f"{urllib.parse.quote_plus(client)}:{urllib.parse.quote_plus(secret)}"
    return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())
