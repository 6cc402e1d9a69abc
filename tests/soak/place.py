"""What runs: jeton on a core of its own; a redis-server, an nginx before it by jeton's own recipe, and a service behind
that."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import policies

HERE = Path(__file__).resolve().parent
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
# answers with what the gateway told it
SERVICE = """daemon off;
worker_processes 1;
pid service.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    access_log off;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:@PORT@;
        location / { return 200 "$request_method $request_uri $http_x_auth_client $http_x_auth_claim_tenant\\n"; }
    }
}
"""


def need(*programs):
    for program in programs:
        if shutil.which(program, path=PATH) is None:
            print(f"error: {program} is not installed", file=sys.stderr)
            sys.exit(2)


def free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def cores():
    """The core of the server, and those of everything else. With one core they share it."""
    all_of_them = sorted(os.sched_getaffinity(0))
    return {all_of_them[0]}, set(all_of_them[1:] or all_of_them)


class Place:
    """A folder, and the programs that run in it until it ends."""

    def __init__(self, program, keys):
        need("redis-server", "nginx")
        self.program, self.keys = str(Path(program).resolve()), keys
        self.folder = Path(tempfile.mkdtemp(prefix="jeton-soak-"))
        # the workers of nginx are another user
        self.folder.chmod(0o755)
        # in memory: its lines are written while requests wait, and the disk of this machine is not what is measured
        descriptor, self.log = tempfile.mkstemp(prefix="jeton-soak-", suffix=".log", dir="/dev/shm")
        os.close(descriptor)
        self.policies = self.folder / "policies"
        self.port, self.admin, self.store, self.gateway, self.service = free_ports(5)
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.running = []
        self.server_cores, self.other_cores = cores()

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
        shutil.rmtree(self.folder)
        os.unlink(self.log)

    def _start(self):
        os.sched_setaffinity(0, self.other_cores)
        self.policies.mkdir()
        policies.write(self.policies, self.keys)
        settings = (HERE / "jeton.toml").read_text()
        for name, port in {"PORT": self.port, "ADMIN": self.admin, "STORE": self.store}.items():
            settings = settings.replace(f"@{name}@", str(port))
        (self.folder / "jeton.toml").write_text(settings)
        self.start(["redis-server", "--port", str(self.store), "--bind", "127.0.0.1", "--save", ""], "redis", self.store)
        self.server = self.start([self.program, "serve"], "jeton", self.admin, self.server_cores)
        self.until_ready()
        ports = "--listen", f"127.0.0.1:{self.gateway}", "--upstream", f"127.0.0.1:{self.service}"
        self.jeton("gateway", "config", "nginx", *ports, "--out", str(self.folder / "nginx"))
        recipe = self.folder / "nginx" / "nginx.conf"
        text = recipe.read_text().replace("worker_processes auto;", "worker_processes 1;")
        recipe.write_text(text)
        (self.folder / "service").mkdir()
        (self.folder / "service" / "nginx.conf").write_text(SERVICE.replace("@PORT@", str(self.service)))
        for name, port in {"service": self.service, "nginx": self.gateway}.items():
            folder = self.folder / name
            self.start(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], name, port)

    def environment(self):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("JETON__", "OTEL_"))}
        return clean | {"PATH": PATH}

    def start(self, command, name, port, cores=None):
        """A program that is ready when its port answers. What it says goes to a log, which may be cut while it runs."""
        # a program counts its cores when it starts
        os.sched_setaffinity(0, cores or self.other_cores)
        file = self.log if name == "jeton" else self.folder / f"{name}.log"
        with open(file, "ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log)
        os.sched_setaffinity(0, self.other_cores)
        self.running.append(process)
        deadline = time.monotonic() + 30
        while not connects(port):
            if process.poll() is not None or time.monotonic() > deadline:
                print(Path(file).read_text()[-3000:], file=sys.stderr)
                print(f"error: {command[0]} does not start", file=sys.stderr)
                sys.exit(2)
            time.sleep(0.05)
        return process

    def until_ready(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask_admin("/readyz")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def ask_admin(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def jeton(self, *arguments):
        """A command on the same folders."""
        done = subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment(), capture_output=True,
                              text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"jeton {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop(self):
        """Ends the server as a service manager does. Its exit code, and how many seconds it took; None if it did not end."""
        before = time.monotonic()
        self.server.send_signal(signal.SIGTERM)
        try:
            return self.server.wait(30), time.monotonic() - before
        except subprocess.TimeoutExpired:
            return None, time.monotonic() - before

    def listed_keys(self):
        """State and kid of each key."""
        return re.findall(r"^(next|active|retired|expired) +(\S+)", self.jeton("keys", "list"), re.M)


def connects(port):
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0
