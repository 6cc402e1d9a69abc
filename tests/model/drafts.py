"""A server, who asks it, and requests that are right: `Draft`."""

import base64
import hashlib
import json
import random
import socket
import time
from copy import copy
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from possession import Request, thumbprint_of, to_base64url

ISSUER = "https://tokens.example.com"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
PATHS = ("/", "/tenants/acme/orders", "/tenants/acme/orders/42?page=2&of=3", "/a%20b", "/caf%C3%A9", "/%7Etilde", "/~tilde",
         "/UPPER/lower", "/slash/", "/it's", "/a:b@c!$&()*+,=", "/%61bc", "/a%2bb", "/x?", "/x?y=/../z", "/a|b")
ORDERS, STRICT = "https://orders.example.com", "https://strict.example.com"
SETTINGS = f"""
[server]
client_certificates = "optional"
certificate_proxies = ["127.0.0.1/32"]

[gateways.orders]
kind = "service"
api = "orders"
trusted_peers = ["127.0.0.1/32"]
origin = "{ORDERS}"

[gateways.strict]
kind = "service"
api = "strict"
trusted_peers = ["127.0.0.1/32"]
origin = "{STRICT}:8443"
"""
# to what a token is bound, and how often
BINDINGS = {"jkt": 12, "x5t": 4, "both": 3, "unbound": 2}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def number(value: int, length: int = 0) -> str:
    return to_base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


# --- ways to ask


class Way:
    """Where a token is shown. `origin` is what its URLs begin with, and `bound_alone` whether it takes no unbound token."""

    bound_alone = False
    connection = None

    def ask(self, request: Request) -> int:
        """The status of the answer."""
        line, headers = self.question(request)
        text = "\r\n".join([line, "Host: localhost", *headers, "", ""]).encode("latin-1")
        while True:
            fresh = self.connection is None
            if fresh:
                self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=10).makefile("rwb")
            try:
                self.connection.write(text)
                self.connection.flush()
                return self.answer(line.startswith("HEAD "))
            except ConnectionError:  # it may end a connection between two requests
                self.connection = None
                if fresh:
                    raise

    def answer(self, without_body: bool) -> int:
        if not (first := self.connection.readline()):
            raise ConnectionResetError
        headers = {}
        while line := self.connection.readline().strip().decode("latin-1"):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip().lower()
        if not without_body:
            self.connection.read(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.connection = None
        return int(first.split()[1])

    def shown(self, request: Request) -> list[str]:
        shown = [f"Authorization: {request.scheme} {request.token}", *(f"DPoP: {proof}" for proof in request.proofs)]
        if request.certificate:
            # this machine counts as a proxy that hands them over (RFC 9440)
            shown.append(f"Client-Cert: :{base64.b64encode(request.certificate).decode()}:")
        return shown


class Own(Way):
    """jeton's own endpoints."""

    name, origin, audience = "own", ISSUER, ISSUER
    methods = ("GET", "HEAD")
    targets = ("/principal", "/principal?", "/principal?a=b/../c", "/principal?%zz", "/%70rincipal", "/ops/policies",
    "/ops/%6beys")

    def __init__(self, port):
        self.port = port

    def question(self, request):
        return f"{request.method} {request.target} HTTP/1.1", self.shown(request)


class Gateway(Way):
    """A gateway of the kind `service`, which says itself what it was asked."""

    methods, targets = METHODS[:7], PATHS

    def __init__(self, port, name, origin, audience):
        self.port, self.name, self.origin, self.audience = port, name, origin, audience
        self.bound_alone = name == "strict"

    def question(self, request):
        asked = [f"X-Original-Method: {request.method}", f"X-Original-URI: {request.target}"]
        return f"GET /authz/{self.name} HTTP/1.1", [*self.shown(request), *asked]


# --- keys and tokens


class Key:
    """A key of a client, and the algorithms by which it signs."""

    def __init__(self, private):
        self.private = private
        public = private.public_key()
        if isinstance(private, ed25519.Ed25519PrivateKey):
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(public.public_bytes_raw())}
            self.algorithms = ("EdDSA", "Ed25519")
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            point, size = public.public_numbers(), (private.key_size + 7) // 8
            self.jwk = {"kty": "EC", "crv": f"P-{private.key_size}", "x": number(point.x, size), "y": number(point.y, size)}
            self.algorithms = ("ES256",)
        else:
            numbers = public.public_numbers()
            self.jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
            self.algorithms = ("RS256", "PS256")
        self.thumbprint = thumbprint_of(self.jwk)

    def sign(self, algorithm: str, data: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(data)
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big") if self.private.key_size == 256 else b"?"
        form = padding.PSS(padding.MGF1(SHA256()), 32) if algorithm == "PS256" else padding.PKCS1v15()
        return self.private.sign(data, form, SHA256())


def certificate(name: str) -> bytes:
    """In DER, signed by its own key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


class World:
    """The server, its ways in, and who asks."""

    def __init__(self, ways, keyring):
        self.ways = ways
        [file] = keyring.glob("*.pem")
        self.signer = Key(load_pem_private_key(file.read_bytes(), None))
        self.keys = [Key(ec.generate_private_key(ec.SECP256R1())) for _ in range(3)]
        self.keys += [Key(ed25519.Ed25519PrivateKey.generate()) for _ in range(2)]
        self.keys += [Key(rsa.generate_private_key(e, 2048)) for e in (65537, 3)]
        self.weak = Key(rsa.generate_private_key(65537, 1024))
        self.long_curve = Key(ec.generate_private_key(ec.SECP384R1()))
        self.certificates = [certificate(name) for name in ("one", "another")]
        self.tokens = {}

    @classmethod
    def serve(cls, place):
        settings = place.folder / "jeton.toml"
        settings.write_text(SETTINGS)
        base = place.serve(ISSUER, config=str(settings))
        port = int(base.rpartition(":")[2])
        strict = Gateway(port, "strict", f"{STRICT}:8443", STRICT)
        return cls([Own(port), Gateway(port, "orders", ORDERS, ORDERS), strict], place.folder / "keys")

    def token(self, audience: str, cnf: str | None) -> str:
        """A token of the server's own key. `cnf` is the JSON of this claim."""
        if (audience, cnf) not in self.tokens:
            now = int(time.time())
            claims = {"iss": ISSUER, "sub": "holder", "client_id": "holder", "aud": audience, "iat": now - 60,
            "exp": now + 3600,
                      "jti": f"token-{len(self.tokens)}", "scope": "do jeton:principal"}
            header = {"typ": "at+jwt", "alg": "RS256", "kid": self.signer.thumbprint}
            payload = json.dumps(claims)[:-1] + (f', "cnf": {cnf}' if cnf else "") + "}"
            signed = f"{to_base64url(json.dumps(header).encode())}.{to_base64url(payload.encode())}"
            self.tokens[audience, cnf] = f"{signed}.{to_base64url(self.signer.sign('RS256', signed.encode()))}"
        return self.tokens[audience, cnf]


# --- a right request


class Draft:
    """A request that is right, until something is done to it. Members are pairs of a name and the JSON of a value."""

    def __init__(self, chance: random.Random, world: World):
        self.story = []
        self.way = chance.choice(world.ways)
        self.key = chance.choice(world.keys)
        self.algorithm = chance.choice(self.key.algorithms)
        self.certificate = chance.choice(world.certificates)
        kind = chance.choices(*zip(*BINDINGS.items()))[0]
        by_key, by_certificate = kind in ("jkt", "both"), kind in ("x5t", "both")
        self.cnf = [("jkt", text(self.key.thumbprint))] if by_key else []
        if by_certificate:
            self.cnf.append(("x5t#S256", text(to_base64url(hashlib.sha256(self.certificate).digest()))))
        elif chance.random() < 0.9:
            self.certificate = None
        self.cnf_json = object_of(self.cnf) if self.cnf else None
        self.token = world.token(self.way.audience, self.cnf_json)
        self.scheme = chance.choice(("DPoP", "DPoP", "dpop", "DPOP")) if by_key else chance.choice(("Bearer", "bearer"))
        self.method, self.target = chance.choice(self.way.methods), chance.choice(self.way.targets)
        self.jwk = [(name, text(value)) for name, value in self.key.jwk.items()]
        self.header = [("typ", '"dpop+jwt"'), ("alg", text(self.algorithm)), ("jwk", None)]
        self.claims = [
            ("jti", text(f"{chance.getrandbits(96):x}")),
            ("htm", text(self.method)),
            ("htu", text(self.way.origin + self.target.partition("?")[0])),
            ("iat", chance.choice(("{:.0f}", "{:.3f}", "{:.6f}")).format(time.time() + chance.uniform(-25, 25))),
            ("ath", text(to_base64url(hashlib.sha256(self.token.encode()).digest()))),
        ]
        for members in (self.jwk, self.header, self.claims):
            chance.shuffle(members)
        self.signer, self.sign_as = self.key, self.algorithm
        # what is done to the signature, to each of the three parts, and to the values of the header `DPoP`
        self.on_signature = self.on_parts = self.on_values = lambda given: given
        self.with_proof = by_key
        self.sent = None

    def token_claims(self) -> dict:
        return {"cnf": json.loads(self.cnf_json)} if self.cnf_json else {}

    def request(self) -> Request:
        if not self.sent:
            header = [(name, object_of(self.jwk) if name == "jwk" and value is None else value) for name, value in self.header]
            parts = [to_base64url(object_of(members).encode()) for members in (header, self.claims)]
            signature = self.signer.sign(self.sign_as, ".".join(parts).encode())
            parts = self.on_parts([*parts, to_base64url(self.on_signature(signature))])
            values = self.on_values([".".join(parts)]) if self.with_proof else []
            self.sent = Request(self.method, self.target, self.scheme, self.token, values, self.certificate)
        return self.sent

    def __str__(self) -> str:
        proofs = []
        for proof in self.request().proofs:
            parts = [base64.urlsafe_b64decode(part.encode("latin-1", "replace") + b"===") for part in proof.split(".")[:2]]
            proofs.append(" ".join([f"{len(proof)} bytes:", *(part.decode(errors="replace") for part in parts)]))
        asked = f"{self.scheme} {self.method} {self.target} {self.cnf_json}"
        return "\n  ".join([f"{self.way.name}: {', '.join(self.story)}: {asked}", *proofs])

    def again(self, chance: random.Random) -> "Draft":
        """The same proof once more, perhaps with another signature that is as good."""
        copied = copy(self)
        copied.story = [*self.story, "again"]
        if chance.random() < 0.5 and self.key.algorithms == ("ES256",) and not self.story:
            copied.sent, copied.on_signature = None, other_signature
            copied.story.append("with_other_signature")
        return copied


def text(value: str) -> str:
    return json.dumps(value)


def object_of(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


def other_signature(signature: bytes) -> bytes:
    """Of ES256: r and n - s verify as r and s do."""
    s = (P256_ORDER - int.from_bytes(signature[32:], "big")) % P256_ORDER
    return signature[:32] + s.to_bytes(32, "big")


def put(members: list[tuple[str, str]], name: str, value: str):
    members[:] = [(one, value if one == name else was) for one, was in members]
    if name not in dict(members):
        members.append((name, value))


def any_members(draft: Draft, chance: random.Random) -> list[tuple[str, str]]:
    return chance.choice((draft.header, draft.claims, draft.claims, draft.jwk))
