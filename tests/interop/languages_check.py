#!/usr/bin/env python3
"""Runs the services of examples/python, examples/node and examples/nginx-only, and sends each the same requests.

    languages_check.py PROGRAM      the jeton program; nginx, node and the packages of the services are needed

The first two check tokens offline: they fetch the keys through `KeySet` below, which counts that and can fail.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from live import ORDERS, answers, checks, free_port, place_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
# two more clients than the sample has; their secrets are their names
MORE_CLIENTS = """
version: 1
clients:
  nameless:
    anonymous: true
    secrets: [{{ sha256: {nameless} }}]
    grants: {{ orders: {{ roles: [order-agent] }} }}
    claims: {{ tenant: acme }}
  refresher:
    refresh: true
    secrets: [{{ sha256: {refresher} }}]
    grants: {{ orders: {{ roles: [order-agent] }} }}
    claims: {{ tenant: acme }}
"""
# jose tells by this clock how old its keys are, and by no other thing; the signal moves it by an hour
LATER = "const now=Date.now;let more=0;Date.now=()=>now()+more;process.on('SIGUSR2',()=>{more=36e5})"
LATER = f"--import=data:text/javascript,{urllib.parse.quote(LATER)}"
INVALID = 'Bearer error="invalid_token", error_description="the access token is not valid here"'
DENIED = 'Bearer error="insufficient_scope", error_description="the access token does not allow this"'
ACME, GLOBEX = "/tenants/acme/orders", "/tenants/globex/orders"


def lacks(scope):
    return f'Bearer error="insufficient_scope", scope="{scope}"'


# --- servers


class KeySet:
    """Stands between a service and the key set of jeton: counts how often it is fetched, and answers as `mode` says."""

    def __init__(self, source):
        self.fetched, self.elsewhere, self.mode = 0, 0, "as it is"
        self.asked, self.release = threading.Event(), threading.Event()
        key_set = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/elsewhere":
                    key_set.elsewhere += 1
                    return self.reply(200, b'{"keys":[]}')
                key_set.fetched += 1
                key_set.asked.set()
                match key_set.mode:
                    case "as it is":
                        try:
                            with urllib.request.urlopen(source, timeout=5) as answer:
                                self.reply(200, answer.read())
                        except OSError:
                            self.close_connection = True
                    case "never":
                        key_set.release.wait(30)
                        self.close_connection = True
                    case "an error":
                        self.reply(500, b"{}")
                    case "a page":
                        self.reply(200, b"<html>Sign in</html>")
                    case "a redirect":
                        self.reply(302, b"", Location="/elsewhere")

            def reply(self, status, body, **headers):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


class Service:
    """A service at a port of its own."""

    def __init__(self, place, name, key_set=None, **settings):
        self.name, self.key_set, self.port = name, key_set, free_port()
        command, environment = offline(name, place, key_set, self.port, **settings)
        url = f"http://127.0.0.1:{self.port}/healthz"
        place.start(command, f"{name}-{self.port}", lambda: answers(url), env=environment)
        self.process, self.log = place.running[-1].process, place.running[-1].log

    def ask(self, method, path, headers=(), timeout=30):
        """Status, challenge, content type and body of an answer. The headers may hold one name twice."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheader("WWW-Authenticate"), answer.getheader("Content-Type"), body

    def takes(self, token, **more):
        try:
            return self.ask("GET", ACME, bearer(token), **more)[0] == 200
        except OSError:
            return False


def offline(name, place, key_set, port, **settings):
    """How a service starts."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JETON__")}
    environment |= {"ISSUER": place.issuer, "AUDIENCE": ORDERS, "PORT": str(port)}
    if key_set:
        environment["KEYS_URL"] = key_set.url
    environment = {key: value for key, value in (environment | settings).items() if value is not None}
    commands = {
        "python": [
            sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLES / "python", "app:app",
            "--port", str(port), "--no-access-log",
        ],
        "node": ["node", EXAMPLES / "node/server.mjs"],
        "nginx-only": [sys.executable, EXAMPLES / "nginx-only/service.py"],
    }
    return commands[name], environment


def behind_nginx(place, port):
    """nginx with the configuration that jeton writes, before the service at this port."""
    gateway = Service.__new__(Service)
    gateway.name, gateway.key_set, gateway.port = "nginx-only", None, free_port()
    folder = place.folder / "edge"
    listen = place.issuer.removeprefix("http://")
    place.jeton(
        "--config", EXAMPLES / "nginx-only/jeton.toml", "gateway", "config", "edge", "--out", folder,
        "--listen", f"127.0.0.1:{gateway.port}", "--upstream", f"127.0.0.1:{port}", JETON__SERVER__LISTEN=listen,
    )
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    place.start(command, "nginx", lambda: answers(f"http://127.0.0.1:{gateway.port}/healthz"))
    return gateway


# --- tokens


class Tokens:
    """Tokens of jeton, and others that look like them."""

    def __init__(self, place):
        self.place = place
        self.good = self.of("acme-sync")
        self.header = jwt.get_unverified_header(self.good)
        self.claims = jwt.decode(self.good, options={"verify_signature": False})
        [pem] = (place.folder / "keys").glob("*.pem")
        self.key = serialization.load_pem_private_key(pem.read_bytes(), None)
        self.other_key = rsa.generate_private_key(65537, 2048)

    def answer_for(self, client, resource=ORDERS, **more):
        known = {"nameless": "nameless", "refresher": "refresher"}
        form = {
            "grant_type": "client_credentials", "resource": resource, "client_id": client,
            "client_secret": known.get(client, f"demo-secret-of-{client}"), **more,
        }
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{self.place.issuer}/oauth2/token", body, timeout=10) as answer:
            return json.load(answer)

    def of(self, client, **more):
        return self.answer_for(client, **more)["access_token"]

    def signed(self, header=None, key=None, alg="RS256", **claims):
        """A token like the good one, with these changes; None takes a claim away."""
        claims = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return jwt.encode(claims, key or self.key, algorithm=alg, headers=self.header | (header or {}))

    def by_hand(self, header, sign):
        """The good claims below another header."""
        input_ = ".".join([encoded(json.dumps(self.header | header).encode()), self.good.split(".")[1]])
        return f"{input_}.{encoded(sign(input_.encode()))}"

    def invented(self, number):
        return self.signed(header={"kid": f"invented-{number}"}, key=self.other_key)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


# --- the table


@dataclass
class Row:
    name: str
    headers: list
    status: int | set = 401
    challenge: str | None = None
    method: str = "GET"
    path: str = ACME
    body: dict | None = None
    # behind nginx the answer is jeton's, which is 200, 401 or 403, or nginx's own
    nginx: int | set | None = None


def rows(tokens):
    now, good = int(time.time()), tokens.good
    globex, support = tokens.of("globex-sync"), tokens.of("support-desk")
    reader = tokens.of("acme-sync", scope="orders:read")
    refresh = tokens.answer_for("refresher")["refresh_token"]
    public_pem = tokens.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own_jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(tokens.other_key.public_key()))
    head, payload, signature = good.split(".")
    other_payload = encoded(json.dumps(tokens.claims | {"tenant": "globex"}).encode())
    signed = tokens.signed

    yield Row("a public route without a token", [], 200, path="/healthz")
    yield Row("the orders of its own tenant", bearer(good), 200, body={"read_by": "acme-sync", "tenant": "acme"})
    yield Row("the scheme in small letters", [("authorization", f"bearer {good}")], 200)
    yield Row("an order of its own tenant", bearer(good), 201, method="POST", body={"created_by": "acme-sync"})
    yield Row("a narrower token reads", bearer(reader), 200)
    yield Row("a refund", bearer(globex), 200, method="POST", path=f"{GLOBEX}/7/refund", body={"refunded": "7"})
    yield Row("the role reads every tenant", bearer(support), 200, path=GLOBEX, body={"tenant": "globex"})
    yield Row("the role refunds for every tenant", bearer(support), 200, method="POST", path=f"{ACME}/42/refund")
    yield Row("the token of an anonymous client", bearer(tokens.of("nameless")), 200, body={"tenant": "acme"})
    yield Row("expired 10 s ago, within the leeway", bearer(signed(exp=now - 10)), 200)

    for name, headers in {
        "no token": [], "Basic credentials": [("Authorization", "Basic YWNtZS1zeW5jOng=")],
    }.items():
        yield Row(name, headers, 401, "Bearer")

    ps256 = tokens.by_hand({"alg": "PS256"}, lambda data: jwt.algorithms.get_default_algorithms()["PS256"].sign(data, tokens.key))
    bad = {
        "a changed claim": f"{head}.{other_payload}.{signature}",
        "the signature of another token": f"{head}.{payload}.{reader.split('.')[2]}",
        "a changed signature": f"{head}.{payload}.{('A' if signature[0] != 'A' else 'B') + signature[1:]}",
        "no signature": f"{head}.{payload}.",
        "alg none": tokens.by_hand({"alg": "none"}, lambda _: b""),
        "alg None": tokens.by_hand({"alg": "None"}, lambda _: b""),
        "HS256 with the public key as the secret": tokens.by_hand(
            {"alg": "HS256"}, lambda data: hmac.digest(public_pem, data, "sha256")
        ),
        "PS256 by the right key, which is for RS256": ps256,
        "another key under the right kid": signed(key=tokens.other_key),
        "a key that the token brings": signed(header={"jwk": own_jwk}, key=tokens.other_key),
        "a key that the token brings, by its kid": signed(header={"jwk": own_jwk, "kid": "own"}, key=tokens.other_key),
        "an address of keys that the token brings": signed(header={"jku": "http://127.0.0.1:1/", "kid": "own"}, key=tokens.other_key),
        "an unknown critical extension": signed(header={"crit": ["x"], "x": 1}),
        "expired": signed(exp=now - 60),
        "without an end": signed(exp=None),
        "not yet good": signed(nbf=now + 3600),
        "another issuer": signed(iss="https://other.example.com"),
        "an issuer that begins alike": signed(iss=tokens.claims["iss"] + "/"),
        "no issuer": signed(iss=None),
        "another audience": tokens.of("acme-sync", resource=tokens.place.issuer),
        "an audience that begins alike": signed(aud=ORDERS + "/"),
        "no audience": signed(aud=None),
        "a refresh token": refresh,
        "the type of a refresh token": signed(header={"typ": "rt+jwt"}),
        "the type of a status list": signed(header={"typ": "statuslist+jwt"}),
        "no type": jwt.encode(tokens.claims, tokens.key, "RS256", headers={"kid": tokens.header["kid"], "typ": None}),
        "no id": signed(jti=None),
        "bound to a key": signed(cnf={"jkt": "A" * 43}),
        "bound to a certificate": signed(cnf={"x5t#S256": "A" * 43}),
        "bound to something new": signed(cnf={"new": "A" * 43}),
        "no JWT": "none",
        "dots": "..",
        "three words": "a.b.c",
        "five parts": f"{good}.a.b",
        "two tokens with a comma": f"{good}, Bearer {good}",
        "a header that is a list": f"{encoded(b'[]')}.{payload}.{signature}",
        "a kid that is a number": tokens.by_hand({"kid": 1}, lambda _: b"x"),
        "long": "a" * 6000,
        "bytes that are no text": b"Bearer \xff\xfe.\xff.\xff",
    }
    for name, token in bad.items():
        headers = [("Authorization", token)] if isinstance(token, bytes) else bearer(token)
        yield Row(f"a bad token: {name}", headers, 401, INVALID, nginx={401, 403})

    yield Row("a missing scope", bearer(good), 403, lacks("orders:refund"), "POST", f"{ACME}/42/refund")
    yield Row("a narrower token writes", bearer(reader), 403, lacks("orders:write"), "POST")
    yield Row("a scope that begins alike", bearer(signed(scope="orders:reader", roles=None)), 403, lacks("orders:read"))
    yield Row("no scope", bearer(signed(scope=None, roles=None)), {401, 403})
    yield Row("another tenant", bearer(good), 403, DENIED, path=GLOBEX)
    yield Row("another tenant, written to", bearer(good), 403, DENIED, "POST", GLOBEX)
    yield Row("the role does not write", bearer(support), 403, method="POST")
    yield Row("a role that begins alike", bearer(signed(roles=["support-leader"])), 403, DENIED, path=GLOBEX)
    yield Row("no tenant", bearer(signed(tenant=None)), 403, DENIED)
    yield Row("a list of tenants", bearer(signed(tenant=["acme"])), 403, DENIED)

    for name, values in {"good and good": (good, good), "good and bad": (good, "x"), "bad and good": ("x", good)}.items():
        # nginx refuses these by itself
        yield Row(f"two Authorization headers: {name}", [*bearer(values[0]), *bearer(values[1])], 400)
    yield Row("a token in the query", [], 400, path=f"{ACME}?access_token={good}", nginx=403)
    yield Row("a token in the query too", bearer(good), 400, path=f"{ACME}?a=b&access_token={good}", nginx=403)
    yield Row("a token in the query by another spelling", [], 400, path=f"{ACME}?acces%73_token={good}", nginx=403)

    for path in (
        "/tenants/acme/../globex/orders", "/tenants/acme/%2e%2e/globex/orders", "/tenants/acme%2f..%2fglobex/orders",
        "/tenants/%67lobex/orders", "/tenants/globex%00/orders", "/tenants//globex/orders", "//tenants/globex/orders",
        "/tenants/acme;/globex/orders", "/tenants/acme%252f..%252fglobex/orders", "/TENANTS/globex/orders", f"{GLOBEX}/",
    ):
        yield Row(f"around the tenant: {path}", bearer(good), {400, 403, 404}, path=path)
    yield Row("an escape that changes nothing", bearer(good), 200, path="/tenants/%61cme/orders", body={"tenant": "acme"})
    yield Row("no such route", bearer(good), {403, 404}, path="/tenants/acme/invoices")
    yield Row("no such route, and no token", [], {401, 404}, path="/tenants/acme/invoices")
    yield Row("a method that the path does not have", bearer(good), {403, 404, 405}, method="DELETE")
    for name in ("X-HTTP-Method-Override", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri"):
        value = "GET" if "Method" in name else ACME
        yield Row(f"{name} of the client", [*bearer(good), (name, value)], {400, 403}, method="POST", path=GLOBEX)


def check_row(service, row):
    status, challenge, content_type, body = service.ask(row.method, row.path, row.headers)
    wanted = row.nginx if service.name == "nginx-only" and row.nginx else row.status
    holds = status in wanted if isinstance(wanted, set) else status == wanted
    by_jeton = service.name != "nginx-only" or isinstance(wanted, int) and wanted != 400
    if holds and row.challenge and by_jeton:
        # jeton says it of a token that has expired
        holds = challenge in (row.challenge, row.challenge.replace("is not valid here", "has expired"))
    if holds and status < 300:
        document = json.loads(body)
        holds = all(document[name] == value for name, value in (row.body or {}).items())
    elif holds and service.name != "nginx-only":
        document = json.loads(body)
        holds = (
            content_type.startswith("application/problem+json") and document["status"] == status
            and set(document) == {"detail", "reference", "status", "title"}
        )
    checks.holds(f"{service.name}: {row.name}: {status}", holds, (status, challenge, content_type, body))


def reasons(service, tokens):
    """The log says under the reference of an answer what was really missing."""
    lacking, elsewhere = "it lacks orders:refund", "its tenant is {0}acme{0}, and the path has {0}globex{0}"
    quote = "'" if service.name == "python" else '"'
    elsewhere = elsewhere.format(quote)
    for name, path, says, says_not in [
        ("a wrong tenant", GLOBEX, [elsewhere], "lacks"),
        ("a missing scope", f"{ACME}/42/refund", [lacking], "its tenant"),
        ("both", f"{GLOBEX}/42/refund", [lacking, elsewhere], None),
    ]:
        body = service.ask("GET" if path == GLOBEX else "POST", path, bearer(tokens.good))[3]
        reference = json.loads(body)["reference"]

        def told():
            return [line for line in service.log.read_text().splitlines() if reference in line]

        checks.soon(f"{service.name}: {name} is in the log", told)
        [line] = told()
        holds = all(text in line for text in says) and not (says_not and says_not in line)
        checks.holds(f"{service.name}: {name} is told as what it is", holds, line)


# --- the keys


def flood(service, tokens, count=300):
    """Tokens of invented keys, many at once. How many of them were refused, and how often the keys were fetched."""
    before = service.key_set.fetched
    made = [tokens.invented(number) for number in range(count)]
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        seen = list(pool.map(lambda token: service.ask("GET", ACME, bearer(token))[:2], made))
    return seen.count((401, INVALID)), service.key_set.fetched - before, time.monotonic() - began


def invented_kids(service, tokens):
    refused, fetched, seconds = flood(service, tokens)
    checks.holds(f"{service.name}: 300 invented kids are refused", refused == 300, refused)
    allowed = 1 + int(seconds / 30)
    checks.holds(f"{service.name}: they cause {fetched} fetches of the keys", fetched <= allowed, fetched)


def hanging_issuer(service, tokens):
    """With a fetch of one second ago at least, an invented kid causes the next, which hangs."""
    key_set = service.key_set
    key_set.mode = "never"
    key_set.asked.clear()
    made = [tokens.invented(number) for number in range(60)]
    with ThreadPoolExecutor(60) as pool:
        while not key_set.asked.is_set():
            pool.submit(service.ask, "GET", ACME, bearer(made[0]))
            key_set.asked.wait(0.2)
        waiting = [pool.submit(service.ask, "GET", ACME, bearer(token)) for token in made]
        # it is answered while the others wait
        takes = service.takes(tokens.good, timeout=3)
        still = not key_set.release.is_set()
        key_set.release.set()
        statuses = {future.result()[0] for future in waiting}
    key_set.mode = "as it is"
    checks.holds(f"{service.name}: good tokens are taken while the issuer hangs", takes and still)
    checks.holds(f"{service.name}: tokens of unknown keys are refused then", statuses == {401}, statuses)


def bad_key_sets(service, tokens):
    key_set = service.key_set
    for mode in ("an error", "a page", "a redirect"):
        key_set.mode, before = mode, key_set.fetched
        number = iter(range(10_000))

        def fetched():
            service.ask("GET", ACME, bearer(tokens.invented(next(number))))
            return key_set.fetched > before

        checks.soon(f"{service.name}: {mode} in the place of the keys is fetched", fetched)
        checks.holds(f"{service.name}: the last keys count after {mode}", service.takes(tokens.good))
    key_set.mode = "as it is"
    checks.holds(f"{service.name}: it follows no redirect", key_set.elsewhere == 0)


def away(service, quick, tokens):
    """jeton is stopped."""
    checks.holds(f"{service.name}: it goes on with the last keys", service.takes(tokens.good))
    refused, fetched, seconds = flood(quick, tokens)
    allowed = 1 + int(seconds)
    checks.holds(
        f"{service.name}: invented kids are refused, {fetched} fetches fail",
        refused == 300 and fetched <= allowed, (refused, fetched),
    )
    if quick.name == "node":
        quick.process.send_signal(signal.SIGUSR2)
    checks.holds(f"{service.name}: it still goes on, however old the keys are", quick.takes(tokens.good))


def does_not_start(place, name, why, key_set, **settings):
    command, environment = offline(name, place, key_set, free_port(), **settings)
    try:
        code = subprocess.run(command, env=environment, capture_output=True, timeout=20).returncode
    except subprocess.TimeoutExpired:
        code = "it runs"
    checks.holds(f"{name}: it does not start {why}", code not in (0, "it runs"), code)


def reload(place, tokens):
    operator = tokens.of("operator", resource=place.issuer)
    request = urllib.request.Request(f"{place.issuer}/ops/reload", b"", dict(bearer(operator)))
    with urllib.request.urlopen(request, timeout=10):
        pass


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def rotation(place, tokens, services):
    """The next key is published, and signs two seconds later; requests go on all the time."""
    before = kid_of(tokens.good)
    place.jeton("keys", "rotate", JETON__KEYS__PUBLISH_AHEAD="2s")
    reload(place, tokens)
    answers_, after = [], 0
    while after < 20:
        token = tokens.of("acme-sync")
        after += kid_of(token) != before
        answers_ += [service.takes(tokens.good) and service.takes(token) for service in services]
    names = ", ".join(service.name for service in services)
    checks.holds(f"{names}: {len(answers_)} times nothing wrong while the key changes", all(answers_))


def leaked_key(place, tokens, services):
    """What the key that leaked signed is refused as soon as the keys are fetched again."""
    old = tokens.of("acme-sync")
    place.jeton("keys", "rotate", "--now")
    reload(place, tokens)
    new = tokens.of("acme-sync")
    for service in services:
        checks.soon(f"{service.name}: the token of the new key is taken", lambda: service.takes(new))
        checks.holds(f"{service.name}: that of the leaked key is not", not service.takes(old))


def algorithms(place, tokens, services):
    for algorithm in ("PS256", "ES256", "EdDSA"):
        place.jeton("keys", "rotate", "--now", JETON__KEYS__ALGORITHM=algorithm)
        reload(place, tokens)
        token = tokens.of("acme-sync")
        seen = jwt.get_unverified_header(token)["alg"]
        checks.holds(f"jeton signs with {algorithm}", seen == algorithm, seen)
        for service in services:
            checks.soon(f"{service.name}: {algorithm} is taken where the list has it", lambda: service.takes(token))


def another_algorithm(service, tokens):
    status, challenge, _, _ = service.ask("GET", ACME, bearer(tokens.of("acme-sync")))
    name = f"{service.name}: EdDSA is refused where RS256 is expected, though the key is there"
    checks.holds(name, (status, challenge) == (401, INVALID), (status, challenge))


def identity(gateway, service, tokens):
    forged = [("X-Auth-Client", "globex-sync"), ("X-Auth-Token-Id", "x"), ("X-Auth-Claim-Tenant", "globex")]
    status, _, _, body = gateway.ask("GET", ACME, [*bearer(tokens.good), *forged])
    own = status == 200 and json.loads(body)["read_by"] == "acme-sync"
    checks.holds("nginx-only: a client cannot forge who it is", own or status == 403, body)
    status = gateway.ask("GET", ACME, forged)[0]
    checks.holds("nginx-only: nor do without a token", status in (401, 403), status)
    for name, headers in {"without nginx": [], "with two ids": forged[1:2] * 2}.items():
        status = service.ask("GET", ACME, headers)[0]
        checks.holds(f"nginx-only: the service refuses what comes {name}", status == 403, status)


def run(place):
    port = free_port()
    secrets = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("nameless", "refresher")}
    (place.policies / "more-clients.yaml").write_text(MORE_CLIENTS.format(**secrets))
    config = EXAMPLES / "nginx-only/jeton.toml"
    base = place.serve(port=port, config=config)
    tokens = Tokens(place)
    source = f"{base}/.well-known/jwks.json"

    services = [Service(place, name, KeySet(source)) for name in ("python", "node")]
    plain = Service(place, "nginx-only")
    gateway = behind_nginx(place, plain.port)
    for service in [*services, gateway]:
        for row in rows(tokens):
            check_row(service, row)
    identity(gateway, plain, tokens)

    for service in services:
        reasons(service, tokens)
        invented_kids(service, tokens)
    quick = [Service(place, service.name, KeySet(source), KEYS_COOLDOWN="1", NODE_OPTIONS=LATER) for service in services]
    for service in quick:
        hanging_issuer(service, tokens)
        bad_key_sets(service, tokens)

    place.stop_one(f"jeton-{port}")
    for service, quick_one in zip(services, quick):
        away(service, quick_one, tokens)
        does_not_start(place, service.name, "without keys", KeySet(source))
    status = gateway.ask("GET", ACME, bearer(tokens.good))[0]
    checks.holds("nginx-only: nobody gets through while jeton is away", status == 500, status)
    place.serve(port=port, config=config)
    checks.soon("nginx-only: it goes on when jeton is back", lambda: gateway.takes(tokens.good))

    rotation(place, tokens, [*quick, gateway])
    leaked_key(place, tokens, [*quick, gateway])
    every = "RS256,PS256,ES256,EdDSA"
    wide = [
        Service(place, service.name, KeySet(source), KEYS_COOLDOWN="1", ALGORITHMS=every) for service in services
    ]
    algorithms(place, tokens, [*wide, gateway])
    for service in services:
        another_algorithm(Service(place, service.name, KeySet(source)), tokens)
    for name in ("python", "node"):
        key_set = KeySet(source)
        does_not_start(place, name, "with HS256", key_set, ALGORITHMS="RS256,HS256")
        does_not_start(place, name, "with keys by http", None, KEYS_URL="http://keys.example.com/")
        does_not_start(place, name, "without an audience", key_set, AUDIENCE=None)


def main():
    pinned = (ROOT / "tests/interop/requirements.txt").read_text().splitlines()
    wanted = (EXAMPLES / "python/requirements.txt").read_text().splitlines()
    checks.holds("what the service in Python needs is what runs here", set(wanted) <= set(pinned), wanted)
    program = str(Path(sys.argv[1]).resolve())
    with place_of("languages", program, ROOT / "policies") as place:
        run(place)
    print(f"{checks.count} checks of the services in Python, Node and behind nginx hold")


main()
