"""A jeton of its own, with its CPU time and memory; and requests to it over connections that stay open."""

import asyncio
import base64
import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

API = "https://big.example"


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def secret_of(client):
    return f"measured-secret-of-{client}"


def basic(client):
    return "Basic " + base64.b64encode(f"{client}:{secret_of(client)}".encode()).decode()


def name_of(number):
    """Names that compress as badly as those that people give."""
    return f"client-{hashlib.sha256(b'name %d' % number).hexdigest()[:10]}"


def write_policies(folder, clients, apis=1, more="", each=""):
    """Policies with so many APIs, each with a bundle, and clients with a secret, a role and a tenant of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "policies.yaml").open("w") as file:
        file.write("version: 1\nscopes:\n  a:read: x\nroles:\n  reader: [a:read]\napis:\n")
        for api in range(apis):
            audience = API if apis == 1 else f"https://big-{api}.example"
            file.write(
                f"  big-{api}:\n    audience: {audience}\n    bundle: public\n    rules:\n      read:\n"
                '        routes: ["GET /tenants/{tenant}/orders"]\n'
                "        require: { scope: a:read, claims: { tenant: { same_as_path: tenant } } }\n",
            )
        file.write("clients:\n" + more)
        for number in range(clients):
            name = name_of(number)
            digest = hashlib.sha256(secret_of(name).encode()).hexdigest()
            file.write(
                f"  {name}:\n    secrets: [{{ sha256: {digest} }}]\n    grants: {{ big-{number % apis}: {{ roles: [reader] }} }}\n"
                f"    claims: {{ tenant: tenant-{number} }}\n{each}",
            )


def replace_file(path, text):
    """The whole file at once, as Git does it."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def environment(folder):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
    return clean | {"JETON__POLICIES__DIR": str(folder / "policies"), "JETON__KEYS__DIR": str(folder / "keys")}


class Server:
    """A running jeton."""

    def __init__(self, program, folder, name, issuer=None, core=None, **settings):
        self.port, self.admin = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.issuer = issuer or self.base
        self.folder, self.log = folder, folder / f"{name}.log"
        self.environment = environment(folder) | {
            "JETON__SERVER__LISTEN": f"127.0.0.1:{self.port}", "JETON__ADMIN__LISTEN": f"127.0.0.1:{self.admin}",
            "JETON__ISSUER": self.issuer,
        } | {f"JETON__{name.upper().replace('.', '__')}": value for name, value in settings.items()}
        command = [program, "serve"] if core is None else ["taskset", "-c", str(core), program, "serve"]
        begun = time.monotonic()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )
        while not connects(self.port):
            if self.process.poll() is not None or time.monotonic() - begun > 600:
                self.process.kill()
                sys.exit(f"error: {program} does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)
        self.started_in = time.monotonic() - begun

    def cpu(self):
        return cpu_of(self.process.pid)

    def memory(self, name="VmRSS"):
        """Bytes: `VmRSS` now, `VmHWM` at most."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)

    def lines(self, event):
        return self.log.read_text().count(event)

    def wait_for(self, event, count, seconds):
        deadline = time.monotonic() + seconds
        while self.lines(event) < count:
            if time.monotonic() > deadline:
                sys.exit(f"error: no `{event}` within {seconds} s:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def cpu_of(process):
    """Seconds of user and system time of all threads: the clock of a process is made of its id (clock_getcpuclockid)."""
    return time.clock_gettime(~process << 3 | 2)


def connects(port):
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Place:
    """A folder, and the programs that end with it."""

    def __init__(self, program):
        self.program, self.running = program, []
        self.folder = Path(tempfile.mkdtemp(prefix="jeton-scale-"))

    def serve(self, name, **options):
        self.running.append(Server(self.program, self.folder, name, **options))
        return self.running[-1]

    def run(self, *arguments, **settings):
        """A command of jeton on the same folders."""
        done = subprocess.run(
            [self.program, *arguments], cwd=self.folder, env=environment(self.folder) | settings,
            capture_output=True, text=True, timeout=60, check=False,
        )
        if done.returncode:
            sys.exit(f"error: jeton {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def start(self, command, port):
        """Another program, until it listens there."""
        if not shutil.which(command[0]):
            print(f"error: {command[0]} is necessary and absent", file=sys.stderr)
            sys.exit(2)
        with (self.folder / f"{Path(command[0]).name}.log").open("ab") as output:
            process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.running.append(Other(process))
        deadline = time.monotonic() + 30
        while not connects(port):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"error: {command[0]} does not start: {(self.folder / f'{Path(command[0]).name}.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def redis(self):
        port = free_port()
        self.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"], port)
        return port


class Other:
    """A program that is not jeton."""

    def __init__(self, process):
        self.process = process

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def place(program):
    held = Place(program)
    try:
        yield held
    finally:
        for running in reversed(held.running):
            running.stop()
        shutil.rmtree(held.folder, ignore_errors=True)


class Answer:
    def __init__(self, status, headers, body, size):
        self.status, self.headers, self.body, self.size = status, headers, body, size


class Connection:
    """HTTP/1.1 over one connection that stays open; one request after the other."""

    def __init__(self, port, patience=30.0):
        self.port, self.patience, self.streams = port, patience, None

    async def ask(self, method, path, headers=(), body=b""):
        was_open = self.streams is not None
        try:
            return await asyncio.wait_for(self._ask(method, path, headers, body), self.patience)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            # the other end may close what was idle just when it is asked again
            if not was_open or getattr(error, "partial", b""):
                raise
        return await asyncio.wait_for(self._ask(method, path, headers, body), self.patience)

    async def _ask(self, method, path, headers, body):
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**27)
        reader, writer = self.streams
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *(f"{name}: {value}" for name, value in headers)]
        if body or method == "POST":
            lines += ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}"]
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode().split("\r\n")
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest if line)}
            status = int(first.split()[1])
            content = b""
            if status not in (204, 304):
                content = await self._body(reader, fields)
        except BaseException:
            self.close()
            raise
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, fields, content, len(head) + len(content))

    @staticmethod
    async def _body(reader, fields):
        if fields.get("transfer-encoding", "").lower() != "chunked":
            return await reader.readexactly(int(fields["content-length"]))
        parts = []
        while length := int(await reader.readuntil(b"\r\n"), 16):
            parts.append((await reader.readexactly(length + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(parts)

    def close(self):
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


async def cpu_of_each(server, count, connections, request):
    """CPU seconds of the server for each of so many requests, over so many connections. `request(connection, number)`."""
    numbers = iter(range(count))

    async def turn(connection):
        for number in numbers:
            await request(connection, number)
        connection.close()

    before = server.cpu()
    await asyncio.gather(*(turn(Connection(server.port)) for _ in range(connections)))
    return (server.cpu() - before) / count


async def token(connection, client, form="grant_type=client_credentials"):
    answer = await connection.ask("POST", "/oauth2/token", [("Authorization", basic(client))], form.encode())
    if answer.status != 200:
        raise RuntimeError(f"a token: {answer.status} {answer.body[:200]!r}")
    return answer
