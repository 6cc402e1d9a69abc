#!/usr/bin/env python3
"""CPU time of the server process for each request, of two builds in turns.

    benches/before_after.py BEFORE AFTER [--rounds N]

BEFORE and AFTER are two source trees, each built by `cargo build --release`. Each server runs with the policies of its own
tree, and answers `wrk` with 16 connections for two seconds in each round. The figure is the median over the rounds;
ratios are taken within a round, so a busy machine moves both. Linux only: it reads /proc.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

CLIENT = "acme-sync:demo-secret-of-acme-sync"


class Server:
    """One build of jeton, and how to ask it."""

    def __init__(self, tree, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            listen = "127.0.0.1:%d" % free.getsockname()[1]
        self.url = f"http://{listen}"
        settings = {
            "JETON__SERVER__LISTEN": listen,
            "JETON__ISSUER": self.url,
            "JETON__KEYS__DIR": f"{folder}/keys",
            "JETON__POLICIES__DIR": f"{tree}/policies",
        }
        self.log = Path(folder, "log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [f"{tree}/target/release/jeton", "serve"],
                env=os.environ | settings, cwd=folder, stdout=subprocess.DEVNULL, stderr=log,
            )
        self.wait()
        credentials = base64.b64encode(CLIENT.encode()).decode()
        form = "grant_type=client_credentials&resource=" + urllib.parse.quote(self.url, safe="")
        request = urllib.request.Request(
            f"{self.url}/oauth2/token", form.encode(), {"Authorization": f"Basic {credentials}"}
        )
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)["access_token"]
        script = Path(folder, "token.lua")
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = "{form}"\n'
            f'wrk.headers["Authorization"] = "Basic {credentials}"\n'
            'wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"\n'
        )
        self.requests = {
            "/healthz": [f"{self.url}/healthz"],
            "/principal, warm": ["-H", f"Authorization: Bearer {token}", f"{self.url}/principal"],
            "a token": ["-s", str(script), f"{self.url}/oauth2/token"],
        }

    def wait(self):
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/readyz").close()
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.process.kill()
        sys.exit(f"error: the server does not answer:\n{self.log.read_text()}")

    def cpu(self):
        """Seconds on a processor, of all threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def measure(self, what):
        """Microseconds of CPU for one request."""
        before = self.cpu()
        command = ["wrk", "-t1", "-c16", "-d2s", *self.requests[what]]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said:
            sys.exit(f"error: {what}: {said}")
        return (self.cpu() - before) / int(re.search(r"(\d+) requests in", said)[1]) * 1e6


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("before", type=Path)
    arguments.add_argument("after", type=Path)
    arguments.add_argument("--rounds", type=int, default=12)
    given = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        pair = []
        for tree in (given.before, given.after):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server = Server(tree.resolve(), folder)
            stack.callback(server.process.wait)
            stack.callback(server.process.terminate)
            pair.append(server)
        print(f"{'CPU for one request':20} {'before':>10} {'after':>10} {'ratio':>7}")
        for what in pair[0].requests:
            for server in pair:
                server.measure(what)
            rounds = []
            for at in range(given.rounds):
                order = pair if at % 2 else pair[::-1]
                figures = {server: server.measure(what) for server in order}
                rounds.append([figures[server] for server in pair])
            before, after = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(new / old for old, new in rounds)
            print(f"{what:20} {before:7.2f} us {after:7.2f} us {ratio:7.3f}", flush=True)


if __name__ == "__main__":
    main()
