"""The policies of the soak: one API, clients of every kind, and enough rules and clients more that a copy of them would be
seen in the memory of the server."""

import datetime
import hashlib
import json
from base64 import b64encode, urlsafe_b64encode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

AUDIENCE = "https://orders.example.com"
PLATFORM = "https://platform.example.com"
# clients of a kind take turns, and so do the sets of these scopes: a token is new unless the same is wanted within
# `tokens.reuse`
EACH = 4
EXTRAS = [f"orders:extra-{number}" for number in range(10)]
BULK = 500

# clients with a secret, and what their entries have beside it
WITH_SECRET = {
    "plain": "", "hot": "", "anonymous": "anonymous: true", "listed": "status_list: true", "revoker": "",
    "refresher": "refresh: true", "exchanger": "token_exchange: true", "introspector": "introspect: [orders]", "prover": "",
}


def secret_of(client):
    return f"soak-secret-of-{client}"


def base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def names(kind):
    return [f"{kind}-{number}" for number in range(EACH)]


class Keys:
    """What the clients sign with, and the certificate that one kind of them shows."""

    def __init__(self):
        self.assertion = ec.generate_private_key(ec.SECP256R1())
        self.edwards = ed25519.Ed25519PrivateKey.generate()
        self.platform = ec.generate_private_key(ec.SECP256R1())
        self.proofs = [ec.generate_private_key(ec.SECP256R1()) for _ in range(8)]
        self.certificates = [certificate(name) for name in names("holder")]

    def header(self, number):
        """The certificate of a client as a proxy hands it over (RFC 9440)."""
        return f":{b64encode(self.certificates[number]).decode()}:"


def jwk(private):
    numbers = private.public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(
        issuer_name=subject, subject_name=subject, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1), not_valid_after=now + datetime.timedelta(days=1),
    ).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def entry(client, credentials, more="", grants="orders: { scopes: [orders:read, orders:write, %s] }" % ", ".join(EXTRAS)):
    lines = [f"  {client}:", f"    {credentials}", f"    grants: {{ {grants} }}"]
    if client.rpartition("-")[0] != "guest":
        lines.append("    claims: { tenant: acme }")
    return "\n".join([*lines, *([f"    {more}"] if more else [])])


def secret(client):
    return f"secrets: [{{ sha256: {hashlib.sha256(secret_of(client).encode()).hexdigest()} }}]"


def pem(private):
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(*form).decode()


def write(folder, keys):
    """All of it but the edits, into a folder that is empty."""
    (folder / "assertion.pem").write_text(pem(keys.assertion))
    (folder / "edwards.pem").write_text(pem(keys.edwards))
    (folder / "platform.jwks").write_text(json.dumps({"keys": [jwk(keys.platform) | {"kid": "platform", "alg": "ES256"}]}))
    (folder / "api.yaml").write_text(api())
    (folder / "clients.yaml").write_text(clients(keys))
    (folder / "bulk.yaml").write_text(bulk())
    (folder / "edit.yaml").write_text(edit(0))


def api():
    extras = "\n".join(
        f"      extra-{number}: {{ routes: [\"GET /extras/{number}\"], require: {{ scope: {scope} }} }}"
        for number, scope in enumerate(EXTRAS)
    )
    return "\n".join([
        "version: 1", "scopes:", "  orders:read: Read orders", "  orders:write: Change orders",
        *(f"  {scope}: More of it" for scope in EXTRAS),
        f"""apis:
  orders:
    audience: {AUDIENCE}
    bundle: public
    pdp: true
    rules:
      read:
        routes: ["GET /tenants/{{tenant}}/orders/{{order}}"]
        require: {{ scope: orders:read, claims: {{ tenant: {{ same_as_path: tenant }} }} }}
      write:
        routes: ["PUT /tenants/{{tenant}}/orders/{{order}}"]
        require: {{ scope: orders:write, claims: {{ tenant: {{ same_as_path: tenant }} }} }}
{extras}
    guarantees:
      tenant-isolation:
        routes: ["ANY /tenants/{{tenant}}/**"]
        only_when: {{ claims: {{ tenant: {{ same_as_path: tenant }} }} }}
issuers:
  platform:
    issuer: {PLATFORM}
    audience: https://jeton.example.com
    algorithms: [ES256]
    keys: {{ file: platform.jwks }}
""",
    ])


def clients(keys):
    entries = ["version: 1", "clients:"]
    entries += [entry(name, secret(name), more) for kind, more in WITH_SECRET.items() for name in names(kind)]
    entries += [entry(name, "public_keys: [{ file: assertion.pem }]") for name in names("signer")]
    entries += [entry(name, "public_keys: [{ file: edwards.pem }]") for name in names("edwards")]
    for number, name in enumerate(names("holder")):
        entries.append(entry(name, f"certificates: [{{ sha256: {hashlib.sha256(keys.certificates[number]).hexdigest()} }}]"))
    for name in names("pod"):
        entries.append(entry(name, f"federated: [{{ issuer: platform, claims: {{ sub: {{ is: {name} }} }} }}]"))
    own = "jeton: { scopes: [jeton:principal, jeton:ops, jeton:pdp] }"
    entries += [entry(name, secret(name), grants=own) for name in names("own")]
    return "\n".join([*entries, ""])


def bulk():
    lines = [
        "version: 1", "scopes: { bulk:read: Read bulk }", "apis:", "  bulk:", "    audience: https://bulk.example.com",
        "    rules:",
    ]
    for number in range(BULK):
        lines += [
            f"      rule-{number}:", f'        routes: ["GET /bulk-{number}/{{one}}/parts/{{two}}"]',
            "        require: { scope: bulk:read, claims: { tenant: { same_as_path: one } } }",
        ]
    lines.append("clients:")
    for name in (f"bulk-{number}" for number in range(BULK)):
        lines.append(entry(name, secret(name), grants="bulk: { scopes: [bulk:read] }"))
    return "\n".join([*lines, ""])


def edit(number):
    """What an edit changes: the one guest there is, and the description of a scope."""
    guest = f"guest-{number}"
    grant = entry(guest, secret(guest), grants="orders: { scopes: [orders:read] }")
    return f"version: 1\nscopes: {{ guests:read: Edit {number} }}\nclients:\n{grant}\n"


BROKEN = "version: 1\nclients:\n  broken:\n    grants: { orders: { scopes: [no:such-scope] } }\n"
