"""Tokens that are bound to a key or a certificate, and what a thief does with them, at the middlewares of
examples/go-service and examples/java-service."""

import datetime
import hashlib
import http.client
import json
import secrets
import ssl
import time
from base64 import b64encode, urlsafe_b64encode

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway_wire import Echo
from gateways import ROOT
from live import ORDERS, checks

TARGET = "/tenants/acme/orders"
TLS = ROOT / "tests/fixtures/tls"


def base64url(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Holder:
    """A key for proofs (RFC 9449)."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        members = {name: self.jwk[name] for name in ("crv", "kty", "x", "y")}
        self.thumbprint = base64url(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    def proof(self, token, method="GET", htu=ORDERS + TARGET):
        ath = base64url(hashlib.sha256(token.encode()).digest())
        claims = {"jti": secrets.token_hex(), "htm": method, "htu": htu, "iat": int(time.time()), "ath": ath}
        return jwt.encode(claims, self.key, "ES256", {"typ": "dpop+jwt", "jwk": self.jwk})


class Certificate:
    """A certificate that its owner signed, in files."""

    def __init__(self, folder, name):
        self.key, self.pem = folder / f"{name}-key.pem", folder / f"{name}.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = x509.CertificateBuilder(
            issuer_name=subject, subject_name=subject, public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        ).sign(key, hashes.SHA256())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        self.pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.der = made.public_bytes(serialization.Encoding.DER)
        self.thumbprint = base64url(hashlib.sha256(self.der).digest())


def bound(site, **cnf):
    """A token of jeton that is bound to this."""
    token = site.token()
    header = jwt.get_unverified_header(token)
    keys = [serialization.load_pem_private_key(file.read_bytes(), None) for file in (site.folder / "keys").glob("*.pem")]
    [key] = [key for key in keys if signed_by(key, token, header["alg"])]
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims | {"cnf": cnf}, key, header["alg"], header)


def signed_by(key, token, algorithm):
    try:
        jwt.decode(token, key.public_key(), [algorithm], audience=ORDERS)
        return True
    except (jwt.InvalidTokenError, TypeError):
        return False


def asked(port, headers, method="GET", target=TARGET, context=None):
    """Status and challenge."""
    if context:
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    else:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.putrequest(method, target)
    for name, value in headers:
        client.putheader(name, value)
    client.endheaders()
    answer = client.getresponse()
    answer.read()
    client.close()
    return answer.status, answer.getheader("WWW-Authenticate", "")


def proofs(site, name, service):
    holder, thief = Holder(), Holder()
    token, unbound = bound(site, jkt=holder.thumbprint), site.token()

    def ask(*proofs, scheme="DPoP", token=token, more=(), **of):
        shown = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs), *more]
        return asked(service.port, shown, **of)

    proof = holder.proof(token)
    status, challenge = ask(proof)
    checks.holds(f"{name}: a bound token with its proof is taken", status == 200, (status, challenge))
    evil = "https://evil.example"
    hosts = [("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example"), ("X-Original-Host", "evil.example")]
    for what, answer in {
        "with a proof that was used": ask(proof),
        "as Bearer": ask(scheme="Bearer"),
        "as Bearer, with a proof": ask(holder.proof(token), scheme="Bearer"),
        "without a proof": ask(),
        "with two proofs": ask(holder.proof(token), holder.proof(token)),
        "with a proof by another key": ask(thief.proof(token)),
        "with a proof for another method": ask(holder.proof(token, "POST")),
        "with a proof for another path": ask(holder.proof(token, htu=f"{ORDERS}{TARGET}/42")),
        "with a proof for another host": ask(holder.proof(token, htu=evil + TARGET), more=hosts),
        "with a proof for another token": ask(holder.proof(unbound)),
        "that is not bound, as DPoP": ask(holder.proof(unbound), token=unbound),
    }.items():
        refused = answer[0] == 401 and answer[1].startswith("DPoP ") and 'error="invalid_token"' in answer[1]
        checks.holds(f"{name}: a token {what} is 401", refused, answer)


def certificates(site, name, start):
    """`start` starts the service with TLS, which takes these certificates."""
    folder = site.folder / f"certificates-{name}"
    folder.mkdir()
    own, other = Certificate(folder, "own"), Certificate(folder, "other")
    clients = folder / "clients.pem"
    clients.write_bytes(own.pem.read_bytes() + other.pem.read_bytes())
    service = start(CERT=str(TLS / "server.pem"), KEY=str(TLS / "test-only-key.pem"), CLIENTS=str(clients))
    echo = Echo(service.upstream)
    shown = [("Authorization", f"Bearer {bound(site, **{'x5t#S256': own.thumbprint})}")]
    forged = [("Client-Cert", f":{b64encode(own.der).decode()}:"), ("X-Client-Cert", b64encode(own.der).decode())]

    def ask(certificate, more=()):
        context = ssl.create_default_context(cafile=TLS / "ca.pem")
        if certificate:
            context.load_cert_chain(certificate.pem, certificate.key)
        return asked(service.port, [*shown, *more], context=context)

    answer = ask(own)
    checks.holds(f"{name}: a certified token with its certificate is taken", answer[0] == 200, answer)
    for what, answer in {
        "another certificate": ask(other),
        "no certificate": ask(None),
        "no certificate, and one in headers": ask(None, forged),
        "another certificate, and its own in headers": ask(other, forged),
    }.items():
        refused = answer[0] == 401 and 'error="invalid_token"' in answer[1]
        checks.holds(f"{name}: a certified token with {what} is 401", refused, answer)
    echo.close()
