"""Tokens that only their holder can use, through the real programs with TLS by our recipes: DPoP by openid-client, client
certificates by curl. A stolen token gets nowhere."""

import base64
import datetime
import hashlib
import ipaddress
import json
import os
import subprocess
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway_wire import Echo
from gateways import KINDS, Gateway, need
from live import HERE, ORDERS, checks, free_port

TARGET = "/tenants/acme/orders"
CLIENT = "certified"


class Authority:
    """A private authority with an intermediate, in files."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        folder.mkdir(exist_ok=True)
        self.root = self.issued(f"{name} root", None, authority=True)
        self.between = self.issued(f"{name} intermediate", self.root, authority=True)
        self.file = self.written(f"{name}-root.pem", [self.root])

    def issued(self, name, by, authority=False, names=(), usage=None, days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(signer, hashes.SHA256()), key

    def written(self, name, chain):
        path = self.folder / name
        path.write_bytes(b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate, _ in chain))
        return path

    def pair(self, name, **of):
        """Certificate and key of an end, below the intermediate: files, and the DER."""
        end = self.issued(name, self.between, **of)
        chain = self.written(f"{self.name}-{name}.pem", [end, self.between])
        key = self.folder / f"{self.name}-{name}.key"
        key.write_bytes(end[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))
        return chain, key, end[0].public_bytes(serialization.Encoding.DER)


def client_of(authority, name, **of):
    return authority.pair(name, usage=ExtendedKeyUsageOID.CLIENT_AUTH, names=[x509.DNSName(f"{name}.example.com")], **of)


def policies(der):
    """A client that authenticates by its certificate, beside those of the sample."""
    return "\n".join([
        "version: 1", "clients:", f"  {CLIENT}:", f"    certificates: [{{ sha256: {hashlib.sha256(der).hexdigest()} }}]",
        "    claims: { tenant: acme }", "    grants: { orders: { scopes: [orders:read] } }", "",
    ])


def certified_token(site, der):
    """As a proxy before jeton asks for the client whose certificate it has seen."""
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": CLIENT, "resource": ORDERS}).encode()
    shown = {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
    with urllib.request.urlopen(urllib.request.Request(f"{site.base}/oauth2/token", form, shown), timeout=10) as answer:
        token = json.load(answer)["access_token"]
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    own = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    checks.holds("a client gets a token that is bound to its certificate", claims.get("cnf") == {"x5t#S256": own}, claims)
    return token


def curl(authority, port, headers, pair=None):
    """The status of an answer, or that there is no connection."""
    command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--cacert", authority.file, "--max-time", "10"]
    command += [part for header in headers for part in ("-H", header)]
    command += ["--cert", pair[0], "--key", pair[1]] if pair else []
    done = subprocess.run([*command, f"https://127.0.0.1:{port}{TARGET}"], capture_output=True, text=True)
    return int(done.stdout)


def forged(der):
    """The headers by which some gateway says that a client showed this certificate."""
    encoded = base64.b64encode(der).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n"
    return {
        "Client-Cert": f":{encoded}:", "X-SSL-Client-Cert": urllib.parse.quote(pem, safe=""),
        "X-Forwarded-Client-Cert": f"Hash={hashlib.sha256(der).hexdigest()}", "X-Forwarded-Tls-Client-Cert": encoded,
    }


def certificates(site, gateways, authority, pairs):
    own, other, expired, foreign = pairs
    token = certified_token(site, own[2])
    shown = [f"Authorization: Bearer {token}"]
    for gateway in gateways:
        kind, echo = gateway.kind, Echo(gateway.upstream)
        ask = lambda headers=(), pair=None: curl(authority, gateway.port, [*shown, *headers], pair)
        checks.holds(f"{kind}: a token passes with its certificate", ask(pair=own) == 200)
        for name, pair, expected in [
            ("no certificate", None, [401]), ("another certificate", other, [401]),
            # nginx answers, and the others end the connection
            ("an expired certificate", expired, [0, 400]), ("a certificate of another authority", foreign, [0, 400]),
        ]:
            seen = ask(pair=pair)
            checks.holds(f"{kind}: with {name} it does not: {seen}", seen in expected, seen)
        for name, value in forged(own[2]).items():
            for shows, pair in [("", None), (", beside another certificate", other)]:
                seen = ask([f"{name}: {value}"], pair)
                checks.holds(f"{kind}: nor with {name} by the client{shows}: {seen}", seen in (401, 403), seen)
        # who shows a certificate may also say another one: the gateway's word counts
        for name, value in forged(other[2]).items():
            checks.holds(f"{kind}: {name} by the client changes nothing", ask([f"{name}: {value}"], own) == 200)
        loose = curl(authority, gateway.port, [f"Authorization: Bearer {site.token()}"], other)
        checks.holds(f"{kind}: a token that is not bound passes beside any certificate", loose == 200, loose)
        echo.close()
        checks.holds(f"{kind}: the service got six requests, and no other", len(echo.seen) == 6, len(echo.seen))


def proofs(site, gateways, authority):
    echoes = [Echo(gateway.upstream) for gateway in gateways]
    origins = [f"https://127.0.0.1:{gateway.port}" for gateway in gateways]
    environment = site.environment(NODE_EXTRA_CA_CERTS=str(authority.file))
    command = ["node", HERE / "gateway_bound.mjs", site.base, "acme-sync", *origins]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    print(done.stdout, end="", flush=True)
    checks.holds("openid-client with DPoP through each gateway, and thieves", done.returncode == 0, done.stderr[-2000:])
    for gateway, echo in zip(gateways, echoes):
        echo.close()
        told = {(seen.one("x-auth-client"), seen.target) for seen in echo.seen}
        checks.holds(
            f"{gateway.kind}: the service got four requests of openid-client, and no other",
            len(echo.seen) == 4 and told == {("acme-sync", TARGET)}, (len(echo.seen), told),
        )


def run(site):
    need(*KINDS, "node", "curl")
    authority = Authority(site.folder / "pki", "own")
    server = authority.pair(
        "server", usage=ExtendedKeyUsageOID.SERVER_AUTH, names=[x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    own, other = client_of(authority, "client"), client_of(authority, "other")
    expired, foreign = client_of(authority, "expired", days=-1), client_of(Authority(site.folder / "pki", "foreign"), "client")
    (site.policies / "certified.yaml").write_text(policies(own[2]))
    ports = {kind: free_port() for kind in KINDS}
    settings = site.folder / "jeton.toml"
    text = settings.read_text().replace("[server]\n", '[server]\nclient_certificates = "optional"\ncertificate_proxies = ["127.0.0.1/32"]\n')
    for kind, port in ports.items():
        section, api = f"[gateways.{kind}]\n", 'api = "orders"\n'
        text = text.replace(f'{section}{api}origin = "{ORDERS}"', f'{section}{api}origin = "https://127.0.0.1:{port}"')
    settings.write_text(text)
    site.serve()
    tls = ["--tls-cert", server[0], "--tls-key", server[1], "--client-ca", authority.file]
    gateways = [Gateway(site, kind, port=port, more=map(str, tls)) for kind, port in ports.items()]
    for gateway in gateways:
        gateway.start()
    proofs(site, gateways, authority)
    certificates(site, gateways, authority, (own, other, expired, foreign))
