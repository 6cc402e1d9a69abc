"""The right requests: what clients, gateways, services and operators ask, and what must be answered. A kind is a generator
for Loop. Everything that is needed again (tokens, refresh tokens, key sets) is in pools of the mixture."""

import json
import random
import time
from base64 import b64encode, urlsafe_b64decode
from collections import defaultdict, deque
from itertools import accumulate
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from policies import AUDIENCE, EACH, EXTRAS, PLATFORM, base64url, jwk, secret_of
from wire import Request, Wrong

# how much of each kind, of 100
WEIGHTS = {
    "secret": 10, "reused": 8, "anonymous": 1, "listed": 2, "assertion": 3, "edwards": 2, "proof": 3, "certificate": 2,
    "platform": 2, "refresh": 2, "exchange": 2, "revoke": 1,
    "introspect": 7, "principal": 14, "bound_principal": 1, "gateway": 9, "authz": 12, "authz_proof": 2, "authz_denied": 3,
    "authzen": 2, "jwks": 3, "status": 3, "bundle": 3, "discovery": 1, "operator": 1, "health": 1,
}
KINDS, CUMULATED = list(WEIGHTS), list(accumulate(WEIGHTS.values()))
# what the probe asks: one after the other
PROBED = ["secret", "principal", "authz", "introspect"]
# a token is not shown any more so many seconds before its end
MARGIN = 10
# of so many answers one token is verified as a service does it, by a key set that may be as old as the server lets it be
VERIFIED = 16
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def basic(client):
    return "Authorization: Basic " + b64encode(f"{client}:{secret_of(client)}".encode()).decode() + "\r\n"


def signed(key, header, claims):
    data = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        signature = key.sign(data.encode())
    return f"{data}.{base64url(signature)}"


class Token:
    __slots__ = ("text", "client", "until", "key", "shown")

    def __init__(self, text, client, until, key=None, shown=""):
        self.text, self.client, self.until, self.key, self.shown = text, client, until, key, shown


class Mixture:
    def __init__(self, ports, keys, seed):
        self.port, self.gateway_port, self.issuer = ports["jeton"], ports["nginx"], f"http://127.0.0.1:{ports['jeton']}"
        self.keys, self.random = keys, random.Random(seed)
        self.turns = defaultdict(lambda: self.random.randrange(1024))
        self.pools = {name: deque(maxlen=256) for name in ("orders", "proofs", "holders", "own")}
        self.families = deque(maxlen=64)
        self.lists = deque(maxlen=EACH)
        self.recent, self.before = set(), set()
        self.known, self.known_at, self.max_age = {}, 0.0, 0.0
        self.texts, self.tags = {}, {}
        self.jwks = [jwk(key) for key in keys.proofs]
        self.counted = 0
        self.reused = self.signed = 0

    def kind(self, name):
        return getattr(self, f"_{name}")()

    def draw(self):
        return self.random.choices(KINDS, cum_weights=CUMULATED)[0]

    # --- what requests are made of

    def post(self, path, form, headers=""):
        body = "&".join(f"{name}={quote(value, safe='')}" for name, value in form.items())
        return Request(self.port, (
            f"POST {path} HTTP/1.1\r\nHost: jeton\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode())

    def get(self, path, headers="", port=None):
        return Request(port or self.port, f"GET {path} HTTP/1.1\r\nHost: orders.example.com\r\n{headers}\r\n".encode())

    def take(self, pool, fetch):
        """A token of a pool that is good for a while yet; fetched where there is none."""
        tokens, now = self.pools[pool], time.time()
        while tokens and tokens[0].until - now < MARGIN:
            tokens.popleft()
        if not tokens:
            return (yield from fetch())
        return tokens[self.random.randrange(len(tokens))]

    def client(self, kind):
        """The clients of a kind take turns."""
        self.turns[kind] += 1
        return f"{kind}-{self.turns[kind] % EACH}"

    def scopes(self, client):
        """Another set each time, until all were there."""
        number = self.turns[client.rpartition("-")[0]] // EACH
        return " ".join(["orders:read", *(scope for place, scope in enumerate(EXTRAS) if number >> place & 1)])

    def fetch(self, client, form, headers="", pool="orders", scope=None, new=True, anonymous=False, **more):
        """A token, and whether it is what it has to be."""
        scope = scope or self.scopes(client)
        answer = yield self.post("/oauth2/token", {"grant_type": "client_credentials", "scope": scope} | form, headers)
        answer.must(answer.status == 200, f"a token for {client}")
        told = json.loads(answer.body)
        token, lives = told["access_token"], told["expires_in"]
        kind = "DPoP" if more.get("key") is not None else "Bearer"
        answer.must(told["token_type"] == kind and 0 < lives <= 60, "what is told of the token")
        answer.must(set(told["scope"].split()) == set(scope.split()), f"the scopes {scope}")
        claims, audience = claims_of(token), self.issuer if scope.startswith("jeton:") else AUDIENCE
        answer.must(claims["iss"] == self.issuer and claims["aud"] in (audience, [audience]), "the claims of the token")
        answer.must(anonymous or claims["client_id"] == client, f"the client {client}")
        answer.must(("cnf" in claims) == bool(more), "what the token is bound to")
        if claims["jti"] in self.recent or claims["jti"] in self.before:
            answer.must(not new, "a token that was there before")
            self.reused += 1
        else:
            self.signed += 1
        self._remember(claims["jti"])
        self.counted += 1
        if self.counted % VERIFIED == 0:
            yield from self.verify(token)
        made = Token(token, client, time.time() + lives, **more)
        if pool:
            self.pools[pool].append(made)
        return made, told

    def _remember(self, jti):
        self.recent.add(jti)
        if len(self.recent) > 50_000:
            self.recent, self.before = set(), self.recent

    def by_secret(self, kind, pool="orders", **more):
        client = self.client(kind)
        made, _ = yield from self.fetch(client, {}, basic(client), pool, **more)
        return made

    def dpop(self, number, method, address, token=None):
        claims = {"jti": f"{self.random.getrandbits(96):x}", "htm": method, "htu": address, "iat": int(time.time())}
        if token:
            claims["ath"] = base64url(_sha256(token.encode()))
        return signed(self.keys.proofs[number], {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwks[number]}, claims)

    def assertion(self, key, alg, client):
        now = int(time.time())
        claims = {"iss": client, "sub": client, "aud": self.issuer, "jti": f"{self.random.getrandbits(96):x}",
                  "iat": now, "exp": now + 30}
        return {"client_assertion_type": JWT_BEARER, "client_assertion": signed(key, {"alg": alg}, claims)}

    # --- tokens

    def _secret(self):
        yield from self.by_secret("plain")

    def _reused(self):
        yield from self.by_secret("hot", scope="orders:read", new=False)

    def _anonymous(self):
        yield from self.by_secret("anonymous", pool=None, anonymous=True)

    def _listed(self):
        made = yield from self.by_secret("listed")
        self.lists.append(claims_of(made.text)["status"]["status_list"]["uri"])

    def _assertion(self):
        client = self.client("signer")
        yield from self.fetch(client, self.assertion(self.keys.assertion, "ES256", client))

    def _edwards(self):
        client = self.client("edwards")
        yield from self.fetch(client, self.assertion(self.keys.edwards, "EdDSA", client))

    def _proof(self):
        client, number = self.client("prover"), self.random.randrange(len(self.jwks))
        proof = self.dpop(number, "POST", f"{self.issuer}/oauth2/token")
        made, _ = yield from self.fetch(client, {}, f"{basic(client)}DPoP: {proof}\r\n", "proofs", key=number)
        return made

    def _certificate(self):
        client = self.client("holder")
        shown = f"Client-Cert: {self.keys.header(int(client[-1]))}\r\n"
        made, _ = yield from self.fetch(client, {"client_id": client}, shown, "holders", shown=shown)
        return made

    def _platform(self):
        client, now = self.client("pod"), int(time.time())
        claims = {"iss": PLATFORM, "aud": "https://jeton.example.com", "sub": client, "iat": now, "exp": now + 300}
        shown = signed(self.keys.platform, {"alg": "ES256", "kid": "platform"}, claims)
        yield from self.fetch(client, {"client_assertion_type": JWT_BEARER, "client_assertion": shown})

    def _refresh(self):
        now = time.time()
        while self.families and self.families[0][2] < now:
            self.families.popleft()
        if len(self.families) < 16:
            client = self.client("refresher")
            scope = self.scopes(client)
            _, told = yield from self.fetch(client, {}, basic(client), scope=scope)
            family = client, scope, now + 60 - MARGIN
        else:
            client, scope, until, token = self.families.popleft()
            family = client, scope, until
            form = {"grant_type": "refresh_token", "refresh_token": token}
            _, told = yield from self.fetch(client, form, basic(client), scope=scope)
        if "refresh_token" not in told:
            raise Wrong(f"no refresh token for {client}: {told}")
        self.families.append((*family, told["refresh_token"]))

    def _exchange(self):
        subject = yield from self.take("orders", lambda: self.by_secret("plain"))
        client = self.client("exchanger")
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": subject.text,
                "subject_token_type": ACCESS_TOKEN}
        answer = yield self.post("/oauth2/token", form | {"scope": "orders:read"}, basic(client))
        answer.must(answer.status == 200, f"an exchange by {client}")
        claims = claims_of(json.loads(answer.body)["access_token"])
        answer.must(claims["scope"] == "orders:read" and claims["act"]["sub"] == client, "what was exchanged")

    def _revoke(self):
        made = yield from self.by_secret("revoker", pool=None)
        answer = yield self.post("/oauth2/revoke", {"token": made.text}, basic(made.client))
        answer.must(answer.status == 200, "a revocation")
        answer = yield self._introspection(made.text)
        answer.must(answer.body == b'{"active":false}', "a revoked token is not active")
        answer = yield self._question(made)
        answer.must(answer.status == 401, "a revoked token opens nothing")

    # --- what tokens are shown to

    def _orders(self):
        return self.take("orders", lambda: self.by_secret("plain"))

    def _own(self):
        return self.take("own", lambda: self.by_secret("own", "own", scope="jeton:principal jeton:ops jeton:pdp", new=False))

    def _introspection(self, token):
        return self.post("/oauth2/introspect", {"token": token}, basic("introspector-0"))

    def _introspect(self):
        token = yield from self._orders()
        answer = yield self._introspection(token.text)
        right = b'"active":true' in answer.body and f'"client_id":"{token.client}"'.encode() in answer.body
        answer.must(answer.status == 200 and right, f"a token of {token.client} is active")

    def _principal(self):
        token = yield from self._own()
        answer = yield self.get("/principal", f"Authorization: Bearer {token.text}\r\n")
        answer.must(answer.status == 200 and f'"client":"{token.client}"'.encode() in answer.body, "the principal")

    def _bound_principal(self):
        """A token of a certificate is active, and says so."""
        token = yield from self.take("holders", self._certificate)
        answer = yield self._introspection(token.text)
        answer.must(answer.status == 200 and b'"x5t#S256"' in answer.body, "a token that is bound to a certificate")

    def _target(self, tenant="acme"):
        return f"/tenants/{tenant}/orders/{self.random.randrange(100_000)}"

    def _question(self, token, target=None, more=""):
        scheme = "Bearer" if token.key is None else "DPoP"
        return self.get("/authz/nginx", (
            f"X-Original-Method: GET\r\nX-Original-URI: {target or self._target()}\r\n"
            f"X-Original-Host: orders.example.com\r\nAuthorization: {scheme} {token.text}\r\n{more}"
        ))

    def _authz(self):
        token = yield from self._orders()
        answer = yield self._question(token)
        right = answer.status == 200 and answer.header(b"x-auth-client") == token.client.encode()
        answer.must(right, "a gateway's question")

    def _authz_proof(self):
        token, target = (yield from self.take("proofs", self._proof)), self._target()
        proof = self.dpop(token.key, "GET", f"https://orders.example.com{target}", token.text)
        answer = yield self._question(token, target, f"DPoP: {proof}\r\n")
        answer.must(answer.status == 200, "a gateway's question with a proof")

    def _authz_denied(self):
        token = yield from self._orders()
        answer = yield self._question(token, self._target("globex"))
        answer.must(answer.status == 403, "another tenant is denied")

    def _gateway(self):
        token, target = (yield from self._orders()), self._target()
        answer = yield self.get(target, f"Authorization: Bearer {token.text}\r\n", self.gateway_port)
        answer.must(answer.status == 200 and answer.body == f"GET {target} {token.client} acme\n".encode(), "through nginx")

    def _authzen(self):
        token, tenant = (yield from self._own()), self.random.choice(["acme", "globex"])
        question = json.dumps({
            "subject": {"type": "client", "id": self.client("plain")}, "action": {"name": "GET"},
            "resource": {"type": "path", "id": self._target(tenant)},
        })
        answer = yield Request(self.port, (
            "POST /authzen/orders/access/v1/evaluation HTTP/1.1\r\nHost: jeton\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token.text}\r\nContent-Length: {len(question)}\r\n\r\n{question}"
        ).encode())
        expected = b'"decision":true' if tenant == "acme" else b'"decision":false'
        answer.must(answer.status == 200 and expected in answer.body, f"an evaluation for {tenant}")

    # --- what everybody may read

    def read(self, path, kind=None):
        """A document that changes now and then: asked for with the tag of the last one. Its new text, or nothing."""
        tag = self.tags.get(path) if self.random.random() < 0.5 else None
        answer = yield self.get(path, f"If-None-Match: {tag}\r\n" if tag else "")
        if tag and answer.status == 304:
            return None
        answer.must(answer.status == 200 and len(answer.body) > 50, path)
        self.tags[path] = answer.header(b"etag").decode()
        if answer.body == self.texts.get(path):
            return None
        self.texts[path] = answer.body
        if kind:
            claims = claims_of(answer.body.decode())
            answer.must(claims["exp"] > time.time(), f"{path} is in force")
            yield from self.verify(answer.body.decode())
        return answer

    def _jwks(self):
        yield from self.read("/.well-known/jwks.json")

    def _status(self):
        if not self.lists:
            yield from self._listed()
        yield from self.read(self.random.choice(self.lists)[len(self.issuer):], "a status list")

    def _bundle(self):
        yield from self.read("/policies/orders", "a bundle")

    def _discovery(self):
        answer = yield from self.read("/.well-known/oauth-authorization-server")
        if answer is not None:
            answer.must(json.loads(answer.body)["issuer"] == self.issuer, "the metadata")

    def _operator(self):
        token = yield from self._own()
        answer = yield self.get("/ops/keys", f"Authorization: Bearer {token.text}\r\n")
        answer.must(answer.status == 200 and b'"active"' in answer.body, "the keys for an operator")

    def _health(self):
        answer = yield self.get("/healthz")
        answer.must(answer.status == 200, "/healthz")

    def verify(self, token):
        """As a service does that keeps the key set for as long as it may."""
        if time.monotonic() - self.known_at >= self.max_age:
            answer = yield self.get("/.well-known/jwks.json")
            answer.must(answer.status == 200, "the key set")
            self.known = {key["kid"]: public(key) for key in json.loads(answer.body)["keys"]}
            self.max_age = int(answer.header(b"cache-control").rpartition(b"max-age=")[2] or 0)
            self.known_at = time.monotonic()
        data, _, signature = token.rpartition(".")
        header = json.loads(urlsafe_b64decode(data.split(".")[0] + "==="))
        key = self.known.get(header["kid"])
        if key is None:
            raise Wrong(f"signed by {header['kid']}, which was not published {self.max_age} s ago: {sorted(self.known)}")
        try:
            key.verify(urlsafe_b64decode(signature + "==="), data.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Wrong(f"a bad signature by {header['kid']}") from None


def public(key):
    n, e = (int.from_bytes(urlsafe_b64decode(key[name] + "==="), "big") for name in ("n", "e"))
    return rsa.RSAPublicNumbers(e, n).public_key()


def _sha256(data):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()
