"""A server of jeton, and services that take its tokens, each a process on a port of its own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[3]
APPS = Path(__file__).resolve().parent / "apps"
TRUSTED = ssl.create_default_context(cafile=str(ROOT / "tests/fixtures/tls/ca.pem"))
ORDERS = "https://orders.example.com"
ACME, GLOBEX = "/tenants/acme/orders", "/tenants/globex/orders"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


class Process:
    """A program in the background; its output goes to a log."""

    def __init__(self, command: list[str], log: Path, ready: Callable[[], bool], env: dict[str, str]) -> None:
        self.log = log
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean | env, cwd=log.parent
            )
        deadline = time.monotonic() + 30
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{command[0]} does not answer:\n{log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end on SIGTERM:\n{self.log.read_text()}") from None


class Issuer:
    """A server of jeton with the policies of the sample, and a bundle of the orders API."""

    def __init__(
        self, program: Path, folder: Path, *, scheme: str = "http", start: bool = True, **settings: str
    ) -> None:
        self.policies = folder / "policies"
        shutil.copytree(ROOT / "policies", self.policies)
        audience = f"    audience: {ORDERS}\n"
        self.edit("orders.yaml", audience, f"{audience}    bundle: public\n")
        self.program, self.folder = program, folder
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.settings = {
            "JETON__SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "JETON__ADMIN__LISTEN": "",
            "JETON__ISSUER": self.url,
            "JETON__KEYS__DIR": str(folder / "keys"),
            "JETON__POLICIES__DIR": str(self.policies),
            **settings,
        }
        self.running: Optional[Process] = None
        if start:
            self.start()

    def start(self) -> None:
        ready = f"{self.url}/readyz"
        command = [str(self.program), "serve"]
        self.running = Process(command, self.folder / "jeton.log", lambda: answers(ready), self.settings)

    def stop(self) -> None:
        if self.running:
            self.running.stop()
            self.running = None

    def edit(self, name: str, before: str, after: str) -> None:
        file = self.policies / name
        text = file.read_text()
        assert text.count(before) == 1, f"`{before}` stands {text.count(before)} times in {name}"
        file.write_text(text.replace(before, after))

    def token(self, client: str, resource: str = ORDERS, dpop: Optional[str] = None) -> str:
        form = {"grant_type": "client_credentials", "resource": resource}
        request = urllib.request.Request(f"{self.url}/oauth2/token", urllib.parse.urlencode(form).encode())
        basic = base64.b64encode(f"{client}:demo-secret-of-{client}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
        if dpop:
            request.add_header("DPoP", dpop)
        with urllib.request.urlopen(request, timeout=5, context=TRUSTED) as answer:
            token: str = json.load(answer)["access_token"]
            return token


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """A service at a port of its own."""

    def __init__(
        self, command: list[str], folder: Path, *, context: Optional[ssl.SSLContext] = None, **env: str
    ) -> None:
        self.port, self.context = free_port(), context
        command = [part.replace("PORT", str(self.port)) for part in command]
        # programs of the same Python
        command[0] = str(Path(sys.executable).parent / command[0])
        self.process = Process(
            command, folder / "service.log", self.is_up, {"PYTHONPATH": str(APPS), "PYTHONUNBUFFERED": "1", **env}
        )

    def is_up(self) -> bool:
        try:
            return self.ask("GET", "/healthz").status == 200
        except OSError:
            return False

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, bytes]] = ()) -> Answered:
        """What a request is answered; target and headers go out as they are, and a name may come twice."""
        lines = [f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n".encode()]
        lines += [name.encode() + b": " + value + b"\r\n" for name, value in headers]
        with self._connect() as connection:
            connection.sendall(b"".join(lines) + b"\r\n")
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            return Answered(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        return self.context.wrap_socket(connection, server_hostname="localhost") if self.context else connection

    def get(self, target: str, token: Optional[str] = None) -> Answered:
        return self.ask("GET", target, bearer(token) if token else [])

    def stop(self) -> None:
        self.process.stop()


def bearer(token: str) -> list[tuple[str, bytes]]:
    return [("Authorization", f"Bearer {token}".encode())]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=TRUSTED):
            return True
    except OSError:
        return False
