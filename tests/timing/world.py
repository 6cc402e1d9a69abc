"""Clients in every state, and the requests that are refused: for each class of them as many that differ in nothing but
names and secrets of one length."""

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

# how many clients each class has: what one name does in a hash table must not pass for a difference of its class
CLIENTS = 4
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PAST, FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


@dataclass(frozen=True)
class Kind:
    """A class of requests that must not be told from its reference by time."""

    name: str
    # how many secrets and public keys its clients have; `None` is a client that nobody has
    secrets: int | None = 1
    keys: int = 0
    # what else stands at the client
    fields: str = ""
    # whether the secret that is sent is the client's, and whether the client's have expired
    sends_right_secret: bool = False
    has_expired: bool = False
    # nanoseconds by which the client of this test answers late on purpose
    planted: int = 0


def by_secret(planted):
    """Classes at which a secret is shown. The first is the reference."""
    return [
        Kind("wrong secret of one"),
        Kind("the same again"),
        Kind("unknown client", secrets=None),
        Kind("wrong secret of eight", secrets=8),
        Kind("wrong secret of sixteen", secrets=16),
        Kind("no secrets but a key", secrets=0, keys=1),
        Kind("expired secret", has_expired=True, sends_right_secret=True),
        Kind("wrong secret of an expired one", has_expired=True),
        Kind("disabled, right secret", fields="enabled: false", sends_right_secret=True),
        Kind("disabled, wrong secret", fields="enabled: false"),
        Kind("revoked ahead, right secret", fields=f'revoked_before: "{FUTURE}"', sends_right_secret=True),
        Kind(f"planted: {planted} ns late", planted=planted),
    ]


def by_assertion(planted):
    """Classes at which an assertion with a wrong signature is shown. The first is the reference."""
    return [
        Kind("wrong assertion, one key", secrets=0, keys=1),
        Kind("the same again", secrets=0, keys=1),
        Kind("unknown client", secrets=None),
        Kind("four keys", secrets=0, keys=4),
        Kind("no key but a secret"),
        Kind("disabled, one key", secrets=0, keys=1, fields="enabled: false"),
        Kind(f"planted: {planted} ns late", secrets=0, keys=1, planted=planted),
    ]


def a_secret(chance):
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "jeton_" + "".join(chance.choices(digits, k=49))


class World:
    """Writes the policies of all clients, and makes their requests."""

    def __init__(self, folder, chance, issuer_port):
        self.folder, self.chance, self.port = folder, chance, issuer_port
        self.ids = set()
        self.lines = ["version: 1", "clients:"]
        # keys cost more than names, and which one it is makes no difference: so few for all
        self.keys = [self.write_key(number) for number in range(4)]
        (folder / "apis.yaml").write_text(
            "version: 1\nscopes:\n  read: Read\napis:\n  api:\n    audience: https://api.example.com\n    rules:\n"
            "      read:\n        routes: [GET /]\n        require: { scope: read }\n"
        )

    def write_key(self, number):
        public = ec.generate_private_key(ec.SECP256R1()).public_key()
        form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / f"key-{number}.pem").write_bytes(public.public_bytes(*form))
        return f"key-{number}.pem"

    def client(self, kind):
        """A client of this kind, written to the policies; its id, and the secret that is sent for it."""
        while (name := f"client-{self.chance.randrange(10**8):08}") in self.ids:
            pass
        self.ids.add(name)
        own = [a_secret(self.chance) for _ in range(kind.secrets or 0)]
        if kind.secrets is not None:
            self.lines.append(f"  {name}:")
            self.lines += [f"    {kind.fields}"] if kind.fields else []
            if own:
                expires = f', expires: "{PAST}"' if kind.has_expired else ""
                self.lines.append("    secrets:")
                self.lines += [f"      - {{ sha256: {sha256(secret)}{expires} }}" for secret in own]
            if kind.keys:
                files = ", ".join(f"{{ file: {key} }}" for key in self.keys[: kind.keys])
                self.lines.append(f"    public_keys: [{files}]")
            self.lines.append("    grants: { api: { scopes: [read] } }")
        return name, own[0] if kind.sends_right_secret else a_secret(self.chance)

    def requests(self, kind):
        """Requests of this kind by a secret, for as many clients."""
        made = []
        for _ in range(CLIENTS):
            name, secret = self.client(kind)
            basic = base64.b64encode(f"{name}:{secret}".encode()).decode()
            made.append(self.post("grant_type=client_credentials", f"Authorization: Basic {basic}\r\n"))
        return made

    def assertions(self, kind):
        """As many by an assertion that no key signed. A signature of its own for each: how long a check takes depends on it."""
        made = []
        for _ in range(CLIENTS):
            name, _ = self.client(kind)
            for _ in range(16):
                claims = {"iss": name, "sub": name, "aud": f"http://127.0.0.1:{self.port}", "exp": int(time.time()) + 300}
                claims["jti"] = f"{self.chance.getrandbits(64):016x}"
                parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "ES256"}, claims)]
                parts.append(base64url(secrets.token_bytes(64)))
                form = f"grant_type=client_credentials&client_assertion_type={ASSERTION_TYPE}"
                made.append(self.post(f"{form}&client_assertion={'.'.join(parts)}"))
        return made

    def post(self, form, headers=""):
        return (
            f"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{headers}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n{form}"
        ).encode()

    def write(self):
        (self.folder / "clients.yaml").write_text("\n".join(self.lines) + "\n")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def base64url(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
