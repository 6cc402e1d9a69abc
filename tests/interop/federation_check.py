#!/usr/bin/env python3
"""Has platforms' tokens, in their true shapes, stand for clients of live servers.

    federation_check.py PROGRAM [PART]...      the jeton program, and which of the parts below; without any, all

The tokens are those of tests/fixtures/federation, signed by issuers that run here: an HTTP server with metadata and
keys for each. The policies and the programs of docs/federation are taken from the pages themselves. Absent programs
and packages are failures.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from live import HERE, ORDERS, Place, checks, place_of

ROOT = HERE.parents[1]
DOCS = ROOT / "docs/federation"
FIXTURES = ROOT / "tests/fixtures/federation"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"
# what the policies of the guides grant
SHOP = """version: 1
scopes:
  orders:read: Read orders
  orders:write: Create and change orders
apis:
  orders:
    audience: https://orders.example.com
    rules:
      read:
        routes:
          - GET /tenants/{tenant}/orders
        require:
          scope: orders:read
      write:
        routes:
          - POST /tenants/{tenant}/orders
        require:
          scope: orders:write
clients:
  everybody-else:
    secrets:
      - sha256: 79614ce75601e82c1191205367118c3d73706610fd1c2bea4625b585f17069b1
    grants:
      orders:
        scopes: [orders:read, orders:write]
"""


class Platform:
    """One that signs tokens of this shape. Its `iss` is an address here once it is served."""

    def __init__(self, name):
        self.name = name
        shape = json.loads((FIXTURES / f"{name}.json").read_text())
        self.header, self.claims, self.offsets = shape["header"], shape["claims"], shape["offsets"]
        self.match, self.algorithms = shape["match"], shape.get("algorithms", ["RS256"])
        self.assertion_type = shape.get("client_assertion_type", JWT_BEARER)
        self.true_issuer = self.claims["iss"]
        # the shapes of one platform are signed by one key
        self.path = name.removesuffix("-immutable").removesuffix("-recycled")
        audience = self.claims["aud"]
        self.audience = audience[0] if isinstance(audience, list) else audience
        self.has_jti = "jti" in self.claims

    def sign(self, key, issuer=None, age=0, **changed):
        """A token of now, or of `age` seconds ago."""
        now = int(time.time()) - age
        claims = self.claims | {"iat": now, "iss": issuer or self.true_issuer}
        claims |= {name: now + offset for name, offset in self.offsets.items()}
        if self.has_jti:
            claims["jti"] = str(uuid.uuid4())
        # PyJWT adds a `typ` where there is none, and takes it out for None
        header = {"typ": None} | self.header
        return jwt.encode(claims | changed, key, self.header["alg"], headers=header)


def new_key(algorithm):
    if curve := {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}.get(algorithm):
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(65537, 2048)


NAMES = sorted(file.stem for file in FIXTURES.glob("*.json") if file.stem != "shared-issuers")
PLATFORMS = {name: Platform(name) for name in NAMES}


class Issuers:
    """The platforms' metadata and keys, over HTTP on this machine."""

    def __init__(self):
        self.keys, self.documents = {}, {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                document = outer.documents.get(self.path)
                body = json.dumps(document).encode()
                self.send_response(200 if document else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # a server that ends does not wait for keys
        self.server.handle_error = lambda *_: None
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        for platform in PLATFORMS.values():
            self.serve(platform)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, platform):
        key = self.key(platform)
        algorithm = RSAAlgorithm if platform.header["alg"] == "RS256" else ECAlgorithm
        public = json.loads(algorithm.to_jwk(key.public_key())) | {"kid": platform.header["kid"]}
        public.pop("key_ops", None)
        if platform.name == "spiffe":  # as in a trust bundle
            public |= {"use": "jwt-svid"}
        elif platform.name.startswith("azure"):
            public |= {"use": "sig"}
        else:
            public |= {"use": "sig", "alg": platform.header["alg"]}
        jwks = f"/{platform.path}/keys"
        # a slash at the end is not doubled (OpenID Connect Discovery 1.0, section 4)
        metadata = f"/{platform.path}/.well-known/openid-configuration"
        self.documents[metadata] = {
            "issuer": self.issuer(platform),
            "jwks_uri": f"{self.base}{jwks}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [platform.header["alg"]],
        }
        self.documents[jwks] = {"keys": [public]}

    def key(self, platform):
        if platform.path not in self.keys:
            self.keys[platform.path] = new_key(platform.header["alg"])
        return self.keys[platform.path]

    def issuer(self, platform):
        return f"{self.base}/{platform.path}" + ("/" if platform.true_issuer.endswith("/") else "")

    def token(self, platform, **more):
        return platform.sign(self.key(platform), self.issuer(platform), **more)

    def policies(self):
        """An issuer for each, and a client for each set of conditions."""
        issuers, clients = {}, {}
        for platform in PLATFORMS.values():
            if platform.match is None:
                continue
            issuers.setdefault(platform.path, {
                "issuer": self.issuer(platform), "audience": platform.audience, "keys": {"discover": True},
                "algorithms": platform.algorithms, "single_use": platform.has_jti,
            })
            federated = {"issuer": platform.path, "claims": platform.match}
            clients[client_of(platform)] = {"federated": [federated], "grants": {"orders": {"roles": ["order-agent"]}}}
        # what JSON says, YAML says too
        return "version: 1\nissuers: " + json.dumps(issuers) + "\nclients: " + json.dumps(clients) + "\n"


def client_of(platform):
    """The two forms of `sub` at GitHub are one client."""
    return f"client-of-{platform.path}"


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Shop:
    """A server whose clients have no secrets."""

    def __init__(self, place):
        self.place, self.issuers = place, Issuers()
        (place.policies / "federation.yaml").write_text(self.issuers.policies())
        self.base = place.serve(JETON__LOG__FORMAT="json", JETON__LIMITS__FAILURES="off")
        self.log = place.running[-1].log

    def ask(self, **parameters):
        return requests.post(f"{self.base}/oauth2/token", data={"resource": ORDERS} | parameters, timeout=10)

    def assert_client(self, token, kind=JWT_BEARER, **more):
        return self.ask(
            grant_type="client_credentials", client_assertion_type=kind, client_assertion=token, **more
        )

    def exchange(self, token, kind="jwt", **more):
        return self.ask(grant_type=EXCHANGE, subject_token=token, subject_token_type=TOKEN_TYPE + kind, **more)

    def refusals(self):
        """The events of the log so far."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == "federation.refused"]


def tokens(place):
    """Each platform's token, both ways."""
    shop = Shop(place)
    issuers = shop.issuers
    for name, platform in PLATFORMS.items():
        if platform.match is None:
            continue
        client = client_of(platform)

        def first():
            return shop.assert_client(issuers.token(platform), platform.assertion_type).status_code == 200

        # the keys may still be on their way
        checks.soon(f"{name}: a token by client_assertion", first, 10.0)
        answers = {
            "client_assertion with client_id": shop.assert_client(issuers.token(platform), client_id=client),
            "subject_token of type jwt": shop.exchange(issuers.token(platform)),
            "subject_token of type id_token": shop.exchange(issuers.token(platform), "id_token"),
        }
        for way, answer in answers.items():
            checks.holds(f"{name}: {way}", answer.status_code == 200, answer.text)
            claims = payload(answer.json()["access_token"])
            seen = (claims["sub"], claims["client_id"], claims["scope"], "refresh_token" in answer.json())
            wanted = (client, client, "orders:read orders:write", False)
            checks.holds(f"{name}: it is the client's token", seen == wanted, seen)
            if "subject" in way:
                issued = answer.json().get("issued_token_type")
                checks.holds(f"{name}: with its type", issued == TOKEN_TYPE + "access_token", issued)
        another = shop.assert_client(issuers.token(platform), client_id="plain")
        checks.refuses(f"{name}: another client's id", another, 401, "invalid_client")
        if platform.has_jti:
            token = issuers.token(platform)
            checks.holds(f"{name}: once", shop.assert_client(token).status_code == 200)
            checks.refuses(f"{name}: a second time", shop.assert_client(token), 401, "invalid_client")
            checks.refuses(f"{name}: a second time, the other way", shop.exchange(token), 400, "invalid_request")
        hostile = {
            "for another audience": {"aud": "https://kubernetes.default.svc.cluster.local"},
            "for two audiences": {"aud": [platform.audience, "https://other.example.com"]},
            "a day old": {"age": 2 * 86400},
        }
        for what, changed in hostile.items():
            token = issuers.token(platform, **changed)
            checks.refuses(f"{name}: {what}", shop.assert_client(token), 401, "invalid_client")
    recycled(shop)


def recycled(shop):
    """A name that somebody else registered is another repository."""
    platform = PLATFORMS["github-recycled"]
    token = shop.issuers.token(platform)
    checks.refuses("a recycled repository: client_assertion", shop.assert_client(token), 401, "invalid_client")
    checks.refuses("a recycled repository: subject_token", shop.exchange(token), 400, "invalid_request")
    last = json.dumps(shop.refusals()[-1])
    says = all(part in last for part in ("client-of-github", "repository_id", "456789", "998877"))
    checks.holds("a recycled repository: the log says what differs", says, last)
    signature = token.split(".")[2]
    checks.holds("no token stands in the log", signature not in shop.log.read_text())


def commands(place):
    """`clients match` on a good token, a refused one, and one that has expired."""
    shop, platform = Shop(place), PLATFORMS["github"]
    good = match(place, shop.issuers.token(platform))
    fits = good.returncode == 0 and "client-of-github" in good.stdout
    checks.holds("clients match names the client", fits, told(good))
    piped = match(place, input=shop.issuers.token(platform) + "\n")
    fits = piped.returncode == 0 and piped.stdout == good.stdout
    checks.holds("clients match reads standard input", fits, told(piped))
    bad = match(place, shop.issuers.token(PLATFORMS["github-recycled"]))
    says = all(part in bad.stdout for part in ("client-of-github", "repository_id", "456789", "998877"))
    checks.holds("clients match says what differs", bad.returncode == 3 and says, told(bad))
    checks.holds("in one screen", len(bad.stdout.splitlines()) <= 24, bad.stdout)
    old = shop.issuers.token(platform, age=86400 * 3)
    checks.holds("clients match refuses an old token", match(place, old).returncode == 3)
    unverified = match(place, "--unverified", old)
    checks.holds(
        "clients match --unverified takes an old token",
        unverified.returncode == 0 and "client-of-github" in unverified.stdout, told(unverified),
    )


def marked(page, kind):
    """The blocks of a page after a comment `<!-- KIND REST -->`, with that rest."""
    found = re.findall(rf"<!-- {kind} (.*?) -->\n```\S*\n(.*?)\n```", (DOCS / page).read_text(), re.S)
    return [(rest, body + "\n") for rest, body in found]


def guides(program):
    """The policies of the guides load without a finding, and their clients are those of the true tokens."""
    seen = set()
    for page in sorted(file.name for file in DOCS.glob("*.md")):
        for rest, policy in marked(page, "policy for"):
            good, _, others = rest.partition("; not for ")
            if good.startswith("nothing"):
                continue
            good, others = good.split(", "), others.split(", ") if others else []
            issuer = PLATFORMS[good[0]].true_issuer
            for name in good + others:
                # of several platforms the page writes the issuer of the first
                text = policy.replace(issuer, PLATFORMS[name].true_issuer)
                guide(program, page, name, text, 0 if name in good else 3)
                seen.add(name)
    unseen = set(NAMES) - seen
    checks.holds("each platform has a guide", not unseen, unseen)


def guide(program, page, name, policy, code):
    with tempfile.TemporaryDirectory(prefix="jeton-guide-") as folder:
        place = Place(program, folder)
        place.issuer = "https://jeton.example.com"
        for file in place.policies.iterdir():
            file.unlink()
        (place.policies / "shop.yaml").write_text(SHOP)
        (place.policies / "guide.yaml").write_text(policy)
        found = place.jeton("policies", "check")
        checks.holds(f"{page}: the policy for {name} loads without a warning", "warning" not in found, found)
        [client] = re.findall(r"^clients:\n  (\S+):", policy, re.M)
        done = match(place, "--unverified", sign_by_anybody(PLATFORMS[name]))
        fits = done.returncode == code and client in done.stdout
        checks.holds(f"{page}: {name} {'is' if code == 0 else 'is not'} {client}", fits, told(done))


def sign_by_anybody(platform):
    """A token in the platform's shape, by a key that is not the platform's."""
    return platform.sign(new_key(platform.header["alg"]))


def told(done):
    """What a command answered, without the token among its arguments."""
    return done.returncode, done.stdout, done.stderr


def match(place, *arguments, **more):
    """`jeton clients match`, whatever it answers."""
    environment = place.environment(JETON__ISSUER=place.issuer)
    command = [place.program, "clients", "match", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=place.folder, timeout=60, **more
    )


def table():
    """The page of shared issuers says what the data say."""
    data = json.loads((FIXTURES / "shared-issuers.json").read_text())
    page = (DOCS / "shared-issuers.md").read_text()
    rows = {
        issuer: line
        for line in page.splitlines()
        if line.startswith("| ")
        for issuer in line.split("|")[2].strip().split(", ")
    }
    for entry in data["shared"]:
        row = rows.get(f"`{entry['issuer']}`", "")
        # GitLab's paths are told by a rule
        names = [name for name in entry["names"] if not name.endswith("_path")]
        missing = [claim for claim in entry["ids"] + names if f"`{claim}`" not in row]
        checks.holds(f"the table has what is known of {entry['platform']}", row and not missing, missing)


def programs(place):
    """The programs of docs/federation/clients.md."""
    shop = Shop(place)
    platform = PLATFORMS["kubernetes"]
    file = place.folder / "token"
    environment = os.environ | {"JETON_ISSUER": shop.base, "JETON_TOKEN_FILE": str(file)}
    (place.folder / "node_modules").symlink_to(HERE / "node_modules")
    checks.soon("the keys are there", lambda: shop.assert_client(shop.issuers.token(platform)).status_code == 200, 10.0)
    runners = {".sh": "bash", ".py": sys.executable, ".mjs": "node"}
    ran = 0
    for name, text in marked("clients.md", "program"):
        path = place.folder / name
        # the page's client is another
        path.write_text(text.replace('"order-sync"', f'"{client_of(platform)}"'))
        # the kubelet's file has no newline at its end
        file.write_text(shop.issuers.token(platform))
        done = subprocess.run(
            [runners[path.suffix], path], env=environment, capture_output=True, text=True, cwd=place.folder, timeout=60
        )
        said = r'a token for \d+ seconds: orders|a token: True|"access_token":"eyJ'
        good = done.returncode == 0 and re.search(said, done.stdout)
        checks.holds(f"{name} of docs/federation/clients.md gets a token", good, told(done))
        ran += 1
    checks.holds("the page has all six programs", ran == 6, ran)


PARTS = {"guides": guides, "table": table, "tokens": tokens, "commands": commands, "programs": programs}


def main():
    program = str(Path(sys.argv[1]).resolve())
    for name in sys.argv[2:] or PARTS:
        part = PARTS[name]
        print(f"--- {name}", flush=True)
        if part is table:
            table()
            continue
        if part is guides:
            guides(program)
            continue
        with place_of("federation", program) as place:
            part(place)
    print(f"{checks.count} checks hold")


main()
