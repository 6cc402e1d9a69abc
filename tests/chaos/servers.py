"""The programs of a world: replicas, the two servers of the store, the gateway and the service behind it."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

import net

MAIN, ADMIN, REDIS, GATEWAY, SERVICE = 8080, 8081, 6379, 8090, 9000
ISSUER = "https://issuer.example"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class Server:
    """A program within a node. A keeper starts it again whenever it ends, as a service manager does, unless it is held."""

    def __init__(self, node, command, log, recorder, env=None):
        self.node, self.command, self.log, self.recorder = node, [*net.inner(node), *command], Path(log), recorder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")} | (env or {})
        self.process, self.began = None, 0.0
        self.held = False
        self.expected = False
        self.keeping = None

    def keep(self):
        self.keeping = asyncio.create_task(self._keep())

    async def _keep(self):
        while True:
            if self.held:
                await asyncio.sleep(0.05)
                continue
            self.expected, self.began = False, self.recorder.now()
            with self.log.open("ab") as output:
                self.process = await asyncio.create_subprocess_exec(
                    *self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.env,
                    process_group=0,
                )
            self.recorder.line("serving", of=self.node, at=self.began)
            code = await self.process.wait()
            self.recorder.line("exit", of=self.node, at=self.recorder.now(), code=code, expected=self.expected)
            await asyncio.sleep(0.3)

    def signal(self, number):
        """To the program and its children."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def hold(self, number):
        """Ends it, and keeps it down until it is released."""
        self.held = self.expected = True
        self.signal(number)

    def release(self):
        self.held = False

    async def ended(self):
        await self.process.wait()

    def runs(self):
        return self.process.returncode is None

    def has_started(self):
        """Whether it runs for long enough to know its signals."""
        return self.runs() and self.recorder.now() - self.began > 5


class Replica(Server):
    """One of three on the same folders, with a clock of its own."""

    def __init__(self, node, program, root, recorder, terms):
        self.clock = root / f"{node}.clock"
        self.set_clock(0)
        settings = root / f"{node}.toml"
        settings.write_text(f"""issuer = "{ISSUER}"
[server]
listen = "0.0.0.0:{MAIN}"
drain = "{terms.drain}s"
shutdown_timeout = "5s"
[admin]
listen = "0.0.0.0:{ADMIN}"
console = "off"
[admin.tls]
cert_file = "tls/cert.pem"
key_file = "tls/key.pem"
[keys]
dir = "keys"
algorithm = "{terms.algorithm}"
generate_if_missing = false
publish_ahead = "{terms.publish_ahead}s"
rotate_every = "{terms.rotate_every}s"
[policies]
dir = "policies"
poll = "{terms.poll}s"
bundle_ttl = "{terms.bundle_ttl}s"
[tokens]
ttl = "{terms.ttl}s"
max_ttl = "{terms.ttl}s"
leeway = "{terms.leeway}s"
refresh_ttl = "{terms.refresh_ttl}s"
refresh_grace = "{terms.grace}s"
status_list_ttl = "{terms.status_list_ttl}s"
[store]
url = "redis://{net.STORE}:{REDIS}"
[limits]
failures = "off"
[log]
level = "info"
decisions = "decisions/{node}.jsonl"
[gateways.nginx]
api = "shop"
trusted_peers = ["10.60.0.0/16"]
claims = ["gen"]
""")
        env = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        }
        command = [str(program), "--config", str(settings), "serve"]
        super().__init__(node, command, root / "logs" / f"{node}.log", recorder, env)

    def set_clock(self, seconds):
        """Its clock is ahead of the true time by these seconds from now on, within a second."""
        draft = self.clock.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.rename(self.clock)


class Redis(Server):
    """A server of the store, which keeps what it holds in a file."""

    def __init__(self, node, folder, logs, recorder):
        command = [
            "redis-server", "--bind", "0.0.0.0", "--port", str(REDIS), "--protected-mode", "no", "--save", "",
            "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--dir", str(folder),
            "--repl-diskless-sync-delay", "0", "--repl-timeout", "5",
        ]
        super().__init__(node, command, logs / f"{node}.log", recorder)

    async def ask(self, *words, patience=6.0):
        """The first line of its answer; raises OSError or TimeoutError."""
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(net.address(self.node), REDIS)
            try:
                text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
                writer.write(text.encode())
                await writer.drain()
                first = (await reader.readline()).decode().strip()
                if first.startswith("$"):
                    return (await reader.readexactly(int(first[1:]))).decode()
                return first
            finally:
                writer.transport.abort()

    async def obeys(self, *words):
        """Asks until it says OK: it may still be starting."""
        for _ in range(50):
            with contextlib.suppress(OSError, TimeoutError):
                if (await self.ask(*words)).startswith("+OK"):
                    return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{self.node} does not obey {' '.join(words)}")

    async def rewrite(self):
        """Writes its file anew."""
        for _ in range(100):
            with contextlib.suppress(OSError, TimeoutError):
                await self.ask("BGREWRITEAOF")
                state = await self.ask("INFO", "persistence")
                while "aof_rewrite_in_progress:1" in state or "aof_rewrite_scheduled:1" in state:
                    await asyncio.sleep(0.1)
                    state = await self.ask("INFO", "persistence")
                if "aof_last_bgrewrite_status:ok" in state:
                    return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{self.node} does not write its file anew")

    async def follow(self, other):
        await self.obeys("REPLICAOF", net.address(other.node), str(REDIS))

    async def lead(self):
        await self.obeys("REPLICAOF", "NO", "ONE")


def gateway(program, root, recorder):
    """nginx by the recipe of jeton, with all replicas as its upstream, and an nginx that stands for the service."""
    folder, service = root / "gateway", root / "service"
    service.mkdir()
    here, there = f"{net.address('gw')}:{GATEWAY}", f"127.0.0.1:{SERVICE}"
    subprocess.run([
        program, "--config", root / "r1.toml", "gateway", "config", "nginx", "--listen", here, "--upstream", there,
        "--jeton", f"{net.address('r1')}:{MAIN}", "--out", folder,
    ], check=True, capture_output=True)
    recipe = folder / "nginx.conf"
    one = f"        server {net.address('r1')}:{MAIN};\n"
    all_of_them = "".join(f"        server {net.address(node)}:{MAIN} fail_timeout=2s;\n" for node in net.REPLICAS)
    text = recipe.read_text()
    if text.count(one) != 1:
        raise RuntimeError("the recipe for nginx does not name jeton once")
    text = text.replace(one, all_of_them).replace("worker_processes auto", "worker_processes 1")
    recipe.write_text(text)
    (service / "nginx.conf").write_text(f"""daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    server {{ listen {there}; location / {{ return 200 "$http_x_auth_client $http_x_auth_token_id $http_x_auth_claim_gen"; }} }}
}}
""")
    for each in (folder, service):
        each.chmod(0o777)
    return [
        Server("gw", ["nginx", "-p", str(each), "-c", str(each / "nginx.conf")], root / "logs" / f"{each.name}.log", recorder)
        for each in (folder, service)
    ]


STOP, CONT, KILL, TERM, HUP = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP
