"""Servers for the checks of this folder: jeton on a port of its own with the policies beside this file, a
redis-server, and key pairs made by openssl."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDERS = "https://orders.example.com"
INVOICES = "https://invoices.example.com"
PRINCIPAL = "jeton:principal"
# a client id and a secret that break what does not form-encode them
ODD_ID, ODD_SECRET = "odd client: 100% + 1/2", "ödd secret: 100% + more & =/?"
# each algorithm that clients may sign with, and how openssl makes a key for it
KEY_PAIRS = {
    "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "PS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "EdDSA": ["-algorithm", "ED25519"],
}


class Checks:
    """Counts what holds, and ends the program at the first that does not."""

    def __init__(self):
        self.count = 0

    def holds(self, name, holds, seen=None):
        if not holds:
            sys.exit(f"error: {name}" + (f": {seen!r}" if seen is not None else ""))
        self.count += 1
        print(f"ok: {name}", flush=True)

    def refuses(self, name, answer, status, error):
        """An answer of an endpoint for clients, where the library shows it as it is."""
        seen = (answer.status_code, answer.json().get("error"))
        self.holds(f"{name}: {error}", seen == (status, error), answer.text)

    def soon(self, name, holds, seconds=3.0):
        """Holds now, or within seconds."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                sys.exit(f"error: {name}: not within {seconds} s")
            time.sleep(0.05)
        self.holds(name, True)


checks = Checks()


def secret_of(client):
    return ODD_SECRET if client == ODD_ID else f"interop-secret-of-{client}"


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class Program:
    """A program in the background; its output goes to a log."""

    def __init__(self, command, log, ready, **more):
        self.log = Path(log)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more)
        deadline = time.monotonic() + 30
        try:
            while not ready():
                if self.process.poll() is not None:
                    sys.exit(f"error: {command[0]} ended:\n{self.log.read_text()}")
                if time.monotonic() > deadline:
                    sys.exit(f"error: {command[0]} does not answer:\n{self.log.read_text()}")
                time.sleep(0.05)
        except BaseException:  # nobody else knows of it yet
            self.process.kill()
            raise

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                sys.exit(f"error: the program did not end on SIGTERM:\n{self.log.read_text()}")


@contextlib.contextmanager
def place_of(name, program, *policies):
    """A place of its own, whose programs end with it; what they said last is printed if something fails."""
    with tempfile.TemporaryDirectory(prefix=f"jeton-{name}-") as folder:
        place = Place(program, folder, *policies)
        try:
            yield place
        except BaseException:
            for running in place.running:
                print(f"--- end of {running.log.name}\n{running.log.read_text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            place.stop()


class Place:
    """A folder with policies, keys of the service and keys of its clients, and what runs on it."""

    def __init__(self, program, folder, policies=HERE / "policies"):
        self.program, self.folder = program, Path(folder)
        self.policies = self.folder / "policies"
        self.running = []
        shutil.copytree(policies, self.policies)
        for algorithm, options in KEY_PAIRS.items():
            private = self.private_key(algorithm)
            public = self.policies / f"{algorithm.lower()}.pub.pem"
            openssl = {"capture_output": True, "check": True}
            subprocess.run(["openssl", "genpkey", *options, "-out", private], **openssl)
            subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], **openssl)

    def private_key(self, algorithm):
        return self.folder / f"{algorithm.lower()}.pem"

    def environment(self, **settings):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
        return clean | {
            "JETON__POLICIES__DIR": str(self.policies),
            "JETON__KEYS__DIR": str(self.folder / "keys"),
            # several servers at once: without that of the source tree's settings
            "JETON__ADMIN__LISTEN": "",
        } | settings

    def serve(self, issuer=None, store="", port=None, config=None, **settings):
        """A server, on a port of its own; with `issuer` another one of that issuer. Its address."""
        port = port or free_port()
        base = f"http://127.0.0.1:{port}"
        self.issuer = issuer or base
        environment = self.environment(
            JETON__SERVER__LISTEN=f"127.0.0.1:{port}", JETON__ISSUER=self.issuer, JETON__STORE__URL=store, **settings,
        )
        command = [self.program, *(["--config", config] if config else []), "serve"]
        self.start(command, f"jeton-{port}", lambda: answers(f"{base}/readyz"), env=environment)
        return base

    def redis(self, port=None):
        """A redis-server that keeps what it holds in the folder; with `port` the one that was there before."""
        port = port or free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        self.start(command, "redis", lambda: connects(port), cwd=self.folder)
        return f"redis://127.0.0.1:{port}"

    def start(self, command, name, ready, **more):
        self.running.append(Program(command, self.folder / f"{name}.log", ready, **more))

    def stop_redis(self):
        self.stop_one("redis")

    def stop_one(self, name):
        [found] = [program for program in self.running if program.log.name == f"{name}.log"]
        self.running.remove(found)
        found.stop()

    def jeton(self, *arguments, **settings):
        """Runs a command of the program on the same folders."""
        environment = self.environment(JETON__ISSUER=self.issuer, **settings)
        done = subprocess.run(
            [self.program, *arguments], env=environment, capture_output=True, text=True, cwd=self.folder,
        )
        if done.returncode != 0:
            sys.exit(f"error: jeton {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def edit(self, name, before, after):
        file = self.policies / name
        text = file.read_text()
        if text.count(before) != 1:
            sys.exit(f"error: `{before}` stands {text.count(before)} times in {name}:\n{text}")
        file.write_text(text.replace(before, after))

    def stop(self):
        failed = None
        for program in reversed(self.running):
            try:
                program.stop()
            except SystemExit as failure:  # the others end all the same
                failed = failure
        self.running = []
        if failed:
            raise failed


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def connects(port):
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0
