"""jeton with a section for each gateway, the real programs before it, and tokens for what goes through them."""

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from gateway_wire import ask, request
from live import HERE, ORDERS, Place, answers, checks, connects, free_port

ROOT = HERE.parents[1]
# each program, and the file that says how it is checked and started
KINDS = {"nginx": "nginx.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg", "envoy": "envoy.yaml"}
# programs that pip installed stand beside this Python
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"])
# for how long a new key is published before it signs
PUBLISH_AHEAD = 10
MANY_SCOPES = "stock-keeper"


def need(*programs):
    for program in programs:
        if shutil.which(program, path=PATH) is None:
            sys.exit(f"error: {program} is not installed: `.ci/run tools` installs it")


def many_scopes():
    """A client whose token names more than the buffers of a proxy are made for, and yet fits into 8 KiB."""
    scopes = [f"stock:warehouse-{number:03}:inventory:items:read" for number in range(120)]
    secret = hashlib.sha256(f"demo-secret-of-{MANY_SCOPES}".encode()).hexdigest()
    return "\n".join([
        "version: 1", "scopes:", *(f"  {scope}: Read" for scope in scopes), "clients:", f"  {MANY_SCOPES}:",
        f"    secrets: [{{ sha256: {secret} }}]", "    claims: { tenant: acme }",
        f"    grants: {{ orders: {{ roles: [order-agent], scopes: [{', '.join(scopes)}] }} }}", "",
    ])


class Site(Place):
    """jeton on a copy of the sample's policies, with a gateway of each kind in its settings, and with echo services."""

    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        # programs that change to a user of their own must reach their files
        self.folder.chmod(0o755)
        self.policies = self.folder / "policies"
        shutil.copytree(ROOT / "policies", self.policies)
        (self.policies / "many.yaml").write_text(many_scopes())
        self.running, self.tokens = [], {}
        self.port = free_port()
        self.base = self.issuer = f"http://127.0.0.1:{self.port}"
        sections = "".join(
            f'[gateways.{kind}]\napi = "orders"\norigin = "{ORDERS}"\ntrusted_peers = ["127.0.0.1/32"]\n'
            'claims = ["tenant"]\n'
            for kind in [*KINDS, "traefik", "service"]
        )
        (self.folder / "jeton.toml").write_text(
            f'issuer = "{self.base}"\n[server]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[keys]\npublish_ahead = "{PUBLISH_AHEAD}s"\n[policies]\npoll = "1s"\n{sections}'
        )

    def environment(self, **settings):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
        # Caddy keeps files there
        return clean | {"PATH": PATH, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)} | settings

    def serve(self):
        ready = lambda: answers(f"{self.base}/readyz")
        self.start([self.program, "serve"], "jeton", ready, env=self.environment(), cwd=self.folder)

    def stop_jeton(self):
        [jeton] = [program for program in self.running if program.log.name == "jeton.log"]
        self.running.remove(jeton)
        jeton.stop()

    def run(self, command, **more):
        return subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, cwd=self.folder, timeout=300, **more
        )

    def token(self, client="acme-sync", resource=ORDERS, scope=None):
        """A fresh token of a demo client."""
        form = {"grant_type": "client_credentials", "resource": resource} | ({"scope": scope} if scope else {})
        basic = base64.b64encode(f"{client}:demo-secret-of-{client}".encode()).decode()
        fetch = urllib.request.Request(
            f"{self.base}/oauth2/token", urllib.parse.urlencode(form).encode(), {"Authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(fetch, timeout=10) as answer:
            return json.load(answer)["access_token"]

    def operator(self, path):
        """An answer of `/ops`."""
        token = self.tokens.setdefault("operator", self.token("operator", self.base))
        fetch = urllib.request.Request(f"{self.base}{path}", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(fetch, timeout=10) as answer:
            return json.load(answer)


class Gateway:
    """One program, from its recipe to a process."""

    def __init__(self, site, kind, file=None, port=None, more=(), folder=None):
        """By the recipe of this kind that jeton writes, with these options more, or by `file`."""
        self.site, self.kind = site, kind
        self.port, self.upstream = port or free_port(), free_port()
        self.folder = site.folder / (folder or (kind if file is None else "holes"))
        self.folder.mkdir()
        if file is None:
            site.jeton(
                "gateway", "config", kind, "--listen", f"127.0.0.1:{self.port}",
                "--upstream", f"127.0.0.1:{self.upstream}", "--out", str(self.folder), *more,
            )
        else:
            ports = {8080: site.port, 8081: self.port, 9000: self.upstream}
            text = Path(file).read_text()
            for before, after in ports.items():
                text = text.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
            (self.folder / KINDS[kind]).write_text(text.replace("/etc/jeton/nginx", str(self.folder)))

    def command(self, verb):
        """The command that the first lines of the recipe tell."""
        text = (self.folder / KINDS[self.kind]).read_text()
        found = re.search(rf"^#   {verb}: +(\S.*)$", text, re.M)
        if found is None:
            sys.exit(f"error: the recipe for {self.kind} does not say how to {verb} it")
        return shlex.split(found[1])

    def start(self):
        done = self.site.run(self.command("check"))
        checks.holds(f"{self.kind}: its own check takes the recipe", done.returncode == 0, done.stdout + done.stderr)
        name, environment = self.folder.name, self.site.environment()
        self.site.start(self.command("start"), name, lambda: connects(self.port), env=environment, cwd="/")

    def check(self):
        """`jeton gateway check`, which is the upstream meanwhile."""
        return check(self.site, self.kind, self.port, self.upstream)

    def ask(self, **of):
        return ask(self.port, request(**of))


def check(site, kind, port, upstream):
    return site.run([
        site.program, "gateway", "check", f"http://127.0.0.1:{port}",
        "--gateway", kind, "--echo", f"127.0.0.1:{upstream}",
    ])


def counts(report):
    """The table of a report: attempts sent, refused, allowed, holes of each class."""
    rows = re.findall(r"^(\S.*?) +(\d+) +(\d+) +(\d+) +(\d+)$", report, re.M)
    return {name: tuple(map(int, numbers)) for name, *numbers in rows}


def is_tight(kind, done):
    """Holds if a check found nothing, and had something to find."""
    table = counts(done.stdout)
    checks.holds(
        f"{kind}: jeton gateway check: {table.get('all')} sent, refused, allowed, holes",
        done.returncode == 0 and "nothing got through that is forbidden" in done.stdout,
        (done.returncode, done.stdout[-3000:], done.stderr[-2000:]),
    )
    empty = [name for name, (sent, *_) in table.items() if not sent]
    checks.holds(f"{kind}: each of {len(table) - 1} classes was tried", len(table) > 12 and not empty, table)
    sent, refused, allowed, _ = table["all"]
    checks.holds(f"{kind}: most were refused, and some passed", refused > 500 and allowed > 50, table)
