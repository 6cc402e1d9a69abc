"""Envoy and HAProxy that check tokens by themselves, by gateways/offline: what they take, what not, and a rotation."""

import base64
import hashlib
import hmac
import json
import re
import threading
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway_traffic import ENOUGH, Tokens, Traffic, until
from gateway_wire import Echo, ask, request, statuses
from gateways import ROOT, need
from live import checks, connects, free_port

RECIPES = ROOT / "gateways/offline"
# how often the gateways look for keys here, in seconds; the recipes say five minutes, for keys that are published an
# hour ahead
FETCH = 2


def encoded(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


class Forger:
    """Tokens that jeton would not issue, by its own key and others."""

    def __init__(self, site, token):
        self.token = token
        self.header, self.claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
        [key] = (site.folder / "keys").glob("*.pem")
        self.private = key.read_text()
        self.other = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self):
        key = serialization.load_pem_private_key(self.private.encode(), None).public_key()
        return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def made(self, drop=None, header=None, key=None, algorithm="RS256", **claims):
        claims = {name: value for name, value in (self.claims | claims).items() if name != drop}
        # not jwt.encode, which judges the claims
        head = {"typ": "at+jwt", "kid": self.header["kid"]} | (header or {})
        return jwt.api_jws.encode(json.dumps(claims).encode(), key or self.private, algorithm, headers=head)

    def unsigned(self, algorithm, sign=lambda _: b""):
        head = {"alg": algorithm, "typ": "at+jwt", "kid": self.header["kid"]}
        parts = f"{encoded(head)}.{encoded(self.claims)}"
        return f"{parts}.{encoded(sign(parts.encode()))}"


def rows(site):
    """Name, bytes, and the status of the answer, or several that will do."""
    good, reader = site.token(), site.token(scope="orders:read")
    forger = Forger(site, good)
    head, payload, signature = good.split(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    now = int(time.time())
    other = site.token(resource=site.base)
    by_pem = lambda parts: hmac.new(forger.public(), parts, hashlib.sha256).digest()
    get = lambda token, **of: request(target="/a", token=token, **of)
    length = ["Content-Length: 0"]
    post = lambda token: request("POST", "/a", token=token, headers=length)
    return good, [
        ("allowed", get(good), 200),
        ("allowed to write", post(good), 200),
        ("allowed to read", get(reader), 200),
        ("allowed, signed by this test", get(forger.made()), 200),
        ("a scope is missing", post(reader), 403),
        ("no scope at all", get(forger.made(drop="scope")), 403),
        ("a scope that begins alike", get(forger.made(scope="orders:reader xorders:read")), 403),
        ("no token", get(None), 401),
        ("no token that could be one", get("x.y.z"), 401),
        ("an empty token", get(""), 401),
        ("a bad signature", get(f"{head}.{payload}.{flipped}"), 401),
        ("no signature", get(f"{head}.{payload}."), 401),
        ("other claims", get(f"{head}.{encoded(forger.claims | {'scope': 'orders:read'})}.{signature}"), 401),
        ("alg none", get(forger.unsigned("none")), 401),
        ("alg None", get(forger.unsigned("None")), 401),
        ("HS256 by the public key", get(forger.unsigned("HS256", by_pem)), 401),
        ("another algorithm", get(forger.made(algorithm="PS256")), 401),
        ("another key of this name", get(forger.made(key=forger.other)), 401),
        ("an unknown key", get(forger.made(header={"kid": "nobody"})), 401),
        ("a path as the key", get(forger.made(header={"kid": "../../etc/passwd"})), 401),
        ("expired", get(forger.made(exp=now - 60)), 401),
        ("without exp", get(forger.made(drop="exp")), 401),
        ("exp that is text", get(forger.made(exp="soon")), 401),
        ("another issuer", get(forger.made(iss="http://evil.example.com")), 401),
        ("another audience", get(other), (401, 403)),
        ("an audience that begins alike", get(forger.made(aud="https://orders.example.com.evil")), (401, 403)),
        ("without audience", get(forger.made(drop="aud")), (401, 403)),
        ("bound to a key", get(forger.made(cnf={"jkt": "A" * 43})), (401, 403)),
        ("bound to a certificate", get(forger.made(cnf={"x5t#S256": "A" * 43})), (401, 403)),
        ("bound to both", post(forger.made(cnf={"jkt": "A" * 43, "x5t#S256": "A" * 43})), (401, 403)),
        ("in the query", request(target=f"/a?access_token={good}"), 401),
        ("by another scheme", get(None, headers=[f"Authorization: Basic {good}"]), 401),
        ("two tokens", get(good, headers=[f"Authorization: Bearer {head}.{payload}.{flipped}"]), (400, 401)),
        ("two tokens, the bad one first", get("x.y.z", headers=[f"Authorization: Bearer {good}"]), (400, 401)),
        ("two hosts", get(good, headers=["Host: evil.example.com"]), (400, 404)),
        ("absolute form", request(target="http://evil.example.com/a"), (400, 401)),
        ("a forged identity", get(good, headers=[
            "X-Auth-Client: evil", "X_Auth_Client: evil", "X.Auth.Client: evil", "X-Auth-Roles: evil",
            "X-Forwarded-For: evil", "X-HTTP-Method-Override: evil", "Connection: X-Auth-Client, close",
        ]), 200),
    ]


def texts(site, port, upstream):
    """A recipe's text with the addresses of this run."""
    def changed(name, extra=()):
        text = (RECIPES / name).read_text()
        for before, after in {8000: port, 9090: upstream, 8080: site.port}.items():
            text = re.sub(rf"(127\.0\.0\.1:|port_value: ){before}\b", rf"\g<1>{after}", text)
        for before, after in extra:
            if before not in text:
                raise SystemExit(f"error: {name} does not have `{before}`")
            text = text.replace(before, after)
        return text

    return changed


def start_envoy(site, folder, port, upstream):
    # keys are looked for as often as this run needs: the one change of the recipe beside its addresses
    changes = [("cache_duration: 300s", f"cache_duration: {FETCH}s")]
    (folder / "envoy.yaml").write_text(texts(site, port, upstream)("envoy.yaml", changes))
    verify(site, "envoy", ["envoy", "--mode", "validate", "-c", "envoy.yaml"], folder)
    command = ["envoy", "--disable-hot-restart", "-c", "envoy.yaml"]
    site.start(command, "offline-envoy", lambda: connects(port), env=site.environment(), cwd=folder)


def start_haproxy(site, folder, port, upstream):
    (folder / "haproxy.cfg").write_text(texts(site, port, upstream)("haproxy.cfg"))
    done = fetch_keys(site)
    checks.holds("offline haproxy: haproxy-keys.py writes the keys", done.returncode == 0, done)
    files = ["-f", "haproxy.cfg", "-f", "keys/keys.cfg"]
    verify(site, "haproxy", ["haproxy", "-c", *files], folder)
    command = ["haproxy", "-W", "-p", "haproxy.pid", *files]
    site.start(command, "offline-haproxy", lambda: connects(port), env=site.environment(), cwd=folder)


def verify(site, name, command, folder):
    done = site.run(["env", "-C", str(folder), *command])
    checks.holds(f"offline {name}: its own check takes the recipe", done.returncode == 0, done.stdout + done.stderr)


def fetch_keys(site, *more):
    folder = site.folder / "offline-haproxy"
    jwks = f"{site.base}/.well-known/jwks.json"
    return site.run([str(RECIPES / "haproxy-keys.py"), jwks, "--out", str(folder / "keys"), *more])


def run(site):
    need("haproxy", "envoy")
    site.serve()
    ports, echoes = {}, {}
    for name, start in {"envoy": start_envoy, "haproxy": start_haproxy}.items():
        folder = site.folder / f"offline-{name}"
        folder.mkdir()
        ports[name], echoes[name] = free_port(), Echo()
        start(site, folder, ports[name], echoes[name].port)
    good, table = rows(site)
    for name, port in ports.items():
        checks.soon(f"offline {name}: it has the keys", lambda: ask(port, request(target="/a", token=good)).status == 200, 15)
        judge(name, port, echoes[name], table)
    rotate(site, ports, echoes)


def judge(name, port, echo, table):
    wrong = []
    for row, data, expected in table:
        before = len(echo.seen)
        answered = statuses(port, data)[:1]
        arrived = echo.seen[before:]
        if answered[0:1] not in ([status] for status in (expected if isinstance(expected, tuple) else (expected,))):
            wrong.append((row, answered, expected))
        if bool(arrived) != (expected == 200):
            wrong.append((row, "arrived" if arrived else "did not arrive"))
        for seen in arrived:
            told = {key.lower(): value for key, value in seen.headers if key.lower() != "authorization"}
            if "evil" in str(told) or told.get("x-auth-client") != "acme-sync" or "x-auth-roles" in told:
                wrong.append((row, told))
    checks.holds(f"offline {name}: {len(table)} requests are judged as they must be", not wrong, wrong)


def rotate(site, ports, echoes):
    """Keys follow each other, and then jeton is away, while requests go through."""
    stopped, failed, reloads = threading.Event(), [], []

    def look():
        pid = str(site.folder / "offline-haproxy/haproxy.pid")
        while not stopped.wait(FETCH):
            done = fetch_keys(site, "--reload", pid)
            if done.returncode != 0:
                failed.append(done)
            reloads.append(done.stdout.strip())

    looks = threading.Thread(target=look, daemon=True)
    looks.start()
    tokens = Tokens(site, ["acme-sync"])
    table = [("allowed", "/a", "acme-sync", 200), ("no token", "/a", None, 401), ("allowed again", "/b", "acme-sync", 200)]
    traffic = Traffic(ports, tokens, table, 200)
    site.jeton("keys", "rotate")
    both = traffic.followed(tokens.of["acme-sync"])
    checks.holds("offline: tokens were fetched all the time", tokens.failure is None, tokens.failure)
    checks.holds("offline: and keys", not failed, failed)
    # the thread must be gone before jeton is
    stopped.set()
    looks.join(60)
    tokens.stopped.set()
    tokens.thread.join(60)
    away = time.monotonic()
    site.stop_jeton()
    done = fetch_keys(site, "--reload", str(site.folder / "offline-haproxy/haproxy.pid"))
    checks.holds("offline haproxy: without an answer the keys stay as they are", done.returncode == 1 and "error" in done.stderr, done)
    # longer than Envoy keeps what it fetched
    since = away + 3 * FETCH
    until("tokens passed without jeton", lambda: all(traffic.passed(name, kid, since) >= ENOUGH for name in ports for kid in both))
    traffic.stop()
    wrong = traffic.wrong()
    checks.holds(f"offline: {len(traffic.records)} requests: not one wrong answer", not wrong, wrong[:8])
    checks.holds("offline haproxy: it was reloaded for the new key", any("2 keys, changed" in line for line in reloads), reloads)
    for name in ports:
        passed = [traffic.passed(name, kid) for kid in both]
        checks.holds(f"offline {name}: tokens of both keys passed: {passed}", min(passed) > 0)
        passed = [traffic.passed(name, kid, since) for kid in both]
        checks.holds(f"offline {name}: it goes on without jeton, and with its keys: {passed}", min(passed) > 0)
        echoes[name].close()
