"""What attackers send, in bursts. Each kind raises Wrong if it is not refused."""

import socket
import time
from base64 import b64encode

from clients import Mixture, basic, claims_of
from policies import base64url
from wire import Request, Wrong

# a burst begins every so many seconds and is over after so many; what is flat is looked at in the quiet between them
CYCLE, BURST = 10.0, 6.0
KINDS = [
    "forged_token", "junk_token", "wrong_secret", "unknown_client", "bad_form", "bad_assertion", "repeated_assertion",
    "bad_proof", "repeated_proof", "stolen_token", "foreign_token", "garbage", "smuggled", "huge_head", "huge_body",
    "hostile_path", "hostile_path_at_nginx", "unclear_question", "introspector", "bad_certificate",
]
REFUSED = (400, 401, 403, 404, 405, 413, 414, 415, 421, 429, 431)
PATHS = [
    "/tenants/acme/../globex/orders/1", "/tenants/globex/orders/%2e%2e/%2e%2e/acme/orders/1", "//tenants/acme/orders/1",
    "/tenants/acme%2forders/1", "/tenants/acme/orders/1%00", "/tenants/acme/orders/1;a=b", "/tenants/acme\\orders/1",
    "/tenants/acme/orders/%ff", "/tenants/acme/orders/1/", "/nowhere", "/tenants/acme/orders/" + "9" * 9000,
    "/a" * 100, "/tenants/acme/orders/1?access_token=a", "/tenants/%61cme/./orders/1",
]
GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"\x00" * 300 + b"\r\n\r\n", b"GET\r\n\r\n",
    b"\r\n" * 40 + b"?\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /oauth2/token HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /principal HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
]
SMUGGLED = [
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 70_000 + b"\r\nhello\r\n0\r\n\r\n",
]


class Attacks:
    def __init__(self, mixture: Mixture):
        self.right, self.random = mixture, mixture.random

    def kind(self, name):
        return getattr(self, f"_{name}")()

    def _refused(self, request, statuses=REFUSED):
        answer = yield request
        if answer.status not in statuses:
            asked = f"{request.data[:200]!r} ... {request.data[-100:]!r}"
            raise Wrong(f"expected one of {statuses}: {answer}; asked: {asked}")
        return answer

    def _raw(self, data, statuses=(0, *REFUSED)):
        """Over a connection of its own; that it ends without an answer is a refusal."""
        yield from self._refused(Request(self.right.port, data, fresh=True), statuses)

    def _address(self):
        """One of many, as a proxy says it."""
        return f"X-Forwarded-For: 10.{'.'.join(str(part) for part in self.random.randbytes(3))}\r\n"

    def _bearer(self, text):
        target = self.random.choice(["/principal", "/ops/keys", "/ops/policies"])
        return self.right.get(target, f"Authorization: Bearer {text}\r\n")

    def _forged_token(self):
        token = yield from self.right.take("own", self.right._own)
        head, _, signature = token.text.split(".")
        claims = claims_of(token.text) | {"scope": "jeton:ops", "sub": "own-0", "exp": int(time.time()) + 3600}
        body = base64url(repr(claims).replace("'", '"').encode())
        none = base64url(b'{"alg":"none","typ":"at+jwt"}')
        text = self.random.choice([f"{head}.{body}.{signature}", f"{none}.{body}.", f"{head}.{body}.{signature[::-1]}"])
        yield from self._refused(self._bearer(text), (401,))

    def _junk_token(self):
        noise = base64url(self.random.randbytes(900))
        text = self.random.choice(["a", "a.b.c", "e30.e30.e30", noise, "x" * 7000, "..", "a" * 9000])
        yield from self._refused(self._bearer(text), (400, 401))

    def _wrong_secret(self):
        form = {"grant_type": "client_credentials"}
        guess = b64encode(f"plain-0:{self.random.getrandbits(128):x}".encode()).decode()
        headers = f"Authorization: Basic {guess}\r\n{self._address()}"
        yield from self._refused(self.right.post("/oauth2/token", form, headers), (401, 429))

    def _unknown_client(self):
        name = f"{self.random.getrandbits(64):x}"
        form = {"grant_type": "client_credentials", "client_id": name, "client_secret": "guess"}
        path = self.random.choice(["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"])
        # from the address of the right clients too
        address = self.random.choice(["", self._address()])
        yield from self._refused(self.right.post(path, form | {"token": "a"}, address), (401, 429))

    def _bad_form(self):
        form = self.random.choice([
            {"grant_type": "password"}, {"grant_type": "client_credentials", "scope": "no:such"}, {"grant": "a"},
            {f"p{number}": "a" for number in range(80)}, {"grant_type": "refresh_token", "refresh_token": "a.b.c"},
            {"grant_type": "client_credentials", "resource": "https://nowhere.example.com"}, {"grant_type": "a" * 5000},
        ])
        yield from self._refused(self.right.post("/oauth2/token", form, basic("refresher-0")), (400,))

    def _bad_assertion(self):
        """The platform's key signs for a client with another one."""
        form = {"grant_type": "client_credentials"} | self.right.assertion(self.right.keys.platform, "ES256", "signer-0")
        yield from self._refused(self.right.post("/oauth2/token", form, self._address()), (401, 429))

    def _repeated_assertion(self):
        form = {"grant_type": "client_credentials"} | self.right.assertion(self.right.keys.assertion, "ES256", "signer-1")
        answer = yield self.right.post("/oauth2/token", form)
        answer.must(answer.status == 200, "the first use of an assertion")
        yield from self._refused(self.right.post("/oauth2/token", form, self._address()), (401, 429))

    def _bad_proof(self):
        places = [("GET", "/oauth2/token"), ("POST", "/oauth2/introspect"), ("POST", "/")]
        method, address = self.random.choice(places)
        proof = self.right.dpop(0, method, self.right.issuer + address)
        more = self.random.choice([f"DPoP: {proof}\r\n", "DPoP: a.b.c\r\n", f"DPoP: {proof}\r\nDPoP: {proof}\r\n"])
        form = {"grant_type": "client_credentials"}
        yield from self._refused(self.right.post("/oauth2/token", form, basic("prover-0") + more), (400,))

    def _repeated_proof(self):
        token = yield from self.right.take("proofs", self.right._proof)
        target = self.right._target()
        proof = self.right.dpop(token.key, "GET", f"https://orders.example.com{target}", token.text)
        answer = yield self.right._question(token, target, f"DPoP: {proof}\r\n")
        answer.must(answer.status == 200, "the first use of a proof")
        yield from self._refused(self.right._question(token, target, f"DPoP: {proof}\r\n"), (401,))

    def _stolen_token(self):
        """A bound token without what it is bound to."""
        pool, fetch = self.random.choice([("proofs", self.right._proof), ("holders", self.right._certificate)])
        token = yield from self.right.take(pool, fetch)
        question = (
            f"X-Original-Method: GET\r\nX-Original-URI: {self.right._target()}\r\nX-Original-Host: orders.example.com\r\n"
            f"Authorization: Bearer {token.text}\r\n"
        )
        yield from self._refused(self.right.get("/authz/nginx", question), (401,))

    def _foreign_token(self):
        """A token for an API at jeton's own endpoints."""
        token = yield from self.right._orders()
        yield from self._refused(self._bearer(token.text), (401,))

    def _garbage(self):
        yield from self._raw(self.random.choice([*GARBAGE, self.random.randbytes(400) + b"\r\n\r\n"]))

    def _smuggled(self):
        form = b"Content-Type: application/x-www-form-urlencoded\r\n"
        yield from self._raw(b"POST /oauth2/token HTTP/1.1\r\nHost: jeton\r\n" + form + self.random.choice(SMUGGLED))

    def _huge_head(self):
        many, long = "".join(f"X-{number}: a\r\n" for number in range(200)), f"X-A: {'a' * 200_000}\r\n"
        more = self.random.choice([many, long])
        yield from self._raw(f"GET /principal HTTP/1.1\r\nHost: jeton\r\n{more}\r\n".encode())

    def _huge_body(self):
        size = self.random.choice([17_000, 300_000])
        head = (
            "POST /oauth2/token HTTP/1.1\r\nHost: jeton\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {size}\r\n\r\n"
        )
        yield from self._raw(head.encode() + b"a" * size)

    def _hostile_path(self):
        token = yield from self.right._orders()
        question = self.right._question(token, self.random.choice(PATHS))
        yield from self._refused(question, (400, 403, 431))

    def _hostile_path_at_nginx(self):
        token, path = (yield from self.right._orders()), self.random.choice(PATHS)
        request = self.right.get(path, f"Authorization: Bearer {token.text}\r\n", self.right.gateway_port)
        request.fresh = True
        # 500: nginx where jeton says neither 200, 401 nor 403
        yield from self._refused(request, (400, 401, 403, 414, 500))

    def _unclear_question(self):
        token = yield from self.right._orders()
        more = self.random.choice([
            "X-Auth-Groups: admins\r\n", "X-Original-URI: /tenants/acme/orders/2\r\n",
            f"Authorization: Bearer {token.text}\r\n", "X-HTTP-Method-Override: PUT\r\n",
            "Connection: X-Original-URI\r\n", "X-SSL-Client-Cert: a\r\nX-SSL-Client-Cert: b\r\n",
        ])
        yield from self._refused(self.right._question(token, None, more), (403,))

    def _introspector(self):
        """A client that may not introspect."""
        yield from self._refused(self.right.post("/oauth2/introspect", {"token": "a.b.c"}, basic("plain-1")), (400, 403))

    def _bad_certificate(self):
        one, other = self.right.keys.header(0), self.right.keys.header(1)
        shown = self.random.choice([":AAAA:", f"{other[:200]}:", f"{one}\r\nClient-Cert: :AAAA:"])
        form = {"grant_type": "client_credentials", "client_id": "holder-0"}
        headers = f"Client-Cert: {shown}\r\n{self._address()}"
        yield from self._refused(self.right.post("/oauth2/token", form, headers), (400, 401, 429))


class Squatters:
    """Connections that are held: silent, half a head, a head byte by byte, a body that does not come, answers that nobody
    reads. They come with a burst and go with it."""

    STARTS = [
        b"", b"GET /principal HT", b"G", b"POST /oauth2/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: 5000\r\n\r\ngrant",
        b"GET / HTTP/1.1\r\nHost: jeton\r\n\r\n" * 400,
    ]

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.held = []
        self.opened = 0

    def tick(self, burst):
        """Once every so often: opens what is missing while there is a burst, and sends one more byte of each."""
        if not burst:
            for one in self.held:
                one.close()
            self.held = []
            return
        kept = []
        for one in self.held:
            try:
                one.send(b"a")
                kept.append(one)
            except BlockingIOError:
                kept.append(one)
            except OSError:
                one.close()
        self.held = kept
        for _ in range(min(10, self.count - len(self.held))):
            try:
                one = socket.create_connection(("127.0.0.1", self.port), timeout=2)
                one.setblocking(False)
                self.held.append(one)
                one.send(self.STARTS[self.opened % len(self.STARTS)])
            except OSError:
                pass
            self.opened += 1
