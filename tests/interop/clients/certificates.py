"""curl and requests with certificates: tokens that are bound to one, by jeton's own TLS listener."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import requests

from dpop import claims_of, refused
from live import checks, free_port

HERE = Path(__file__).resolve().parent
SVID = "spiffe://example.org/ns/shop/sa/order-sync"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificates:
    """A private authority, and certificates with their keys."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self.made("authority", "-subj", "/CN=A private authority")[0]
        self.server = self.signed("server", "DNS:localhost,IP:127.0.0.1", usage="serverAuth")
        # as `openssl req -x509` makes them: a certificate of an authority
        self.pinned = self.made("pinned", "-subj", "/CN=pinned")
        self.certified = self.signed("certified", "DNS:certified.example.com")
        self.stranger = self.signed("stranger", "DNS:stranger.example.com")
        self.svid = self.signed("svid", f"URI:{SVID}")
        self.other_svid = self.signed("other-svid", f"URI:{SVID}-2")
        self.forged = self.made(
            "forged", "-subj", "/CN=forged", "-addext", "subjectAltName=DNS:certified.example.com",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth",
        )

    def made(self, name, *options):
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        command = ["openssl", "req", "-x509", *KEY, "-days", "2", *options, "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key

    def signed(self, name, names, usage="clientAuth"):
        return self.made(
            name, "-subj", f"/CN={name}", "-CA", self.ca, "-CAkey", self.folder / "authority.key",
            "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", f"extendedKeyUsage={usage}", "-addext", "keyUsage=critical,digitalSignature",
        )


def digest_of(certificate):
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True)
    return hashlib.sha256(der.stdout)


class Curl:
    """Asks a server by its own TLS listener. The answer is its status and its body."""

    def __init__(self, base, authority):
        self.base, self.authority = base, authority

    def __call__(self, path, *options, certificate=None):
        shown = ["--cert", certificate[0], "--key", certificate[1]] if certificate else []
        command = ["curl", "-s", "--cacert", self.authority, *shown, "-w", "\n%{http_code}", *options, self.base + path]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def token(self, client, certificate):
        form = {"grant_type": "client_credentials", "client_id": client, "resource": self.base}
        options = [word for name, value in form.items() for word in ("-d", f"{name}={value}")]
        status, body = self("/oauth2/token", *options, certificate=certificate)
        return status, json.loads(body)

    def principal(self, token, certificate=None):
        return self("/principal", "-H", f"Authorization: Bearer {token}", certificate=certificate)


def serve_tls(place, made):
    port = free_port()
    base = f"https://localhost:{port}"
    curl = Curl(base, made.ca)
    place.edit("clients.yaml", "0" * 64, digest_of(made.pinned[0]).hexdigest())
    environment = place.environment(
        JETON__ISSUER=base,
        JETON__SERVER__LISTEN=f"127.0.0.1:{port}",
        JETON__SERVER__TLS__CERT_FILE=str(made.server[0]),
        JETON__SERVER__TLS__KEY_FILE=str(made.server[1]),
        JETON__SERVER__CLIENT_CERTIFICATES="optional",
        JETON__SERVER__CLIENT_CA_FILE=str(made.ca),
    )

    def ready():
        try:
            return curl("/readyz")[0] == 200
        except subprocess.CalledProcessError:
            return False

    place.start([place.program, "serve"], f"jeton-{port}", ready, env=environment)
    return curl


def run(place):
    made = Certificates(place.folder)
    curl = serve_tls(place, made)
    holders = {"pinned": made.pinned, "certified": made.certified, "workload": made.svid}
    for client, certificate in holders.items():
        status, answer = curl.token(client, certificate)
        checks.holds(f"curl gets a token as {client}, by its certificate alone", status == 200, answer)
        token = answer["access_token"]
        thumbprint = base64.urlsafe_b64encode(digest_of(certificate[0]).digest()).decode().rstrip("=")
        checks.holds("it is bound to it", claims_of(token)["cnf"] == {"x5t#S256": thumbprint}, claims_of(token))
        status, body = curl.principal(token, certificate)
        checks.holds("it uses it", status == 200 and json.loads(body)["client"] == client, body)
        others = [one for one in [None, made.stranger, *holders.values()] if one != certificate]
        seen = [curl.principal(token, other)[0] for other in others]
        checks.holds("without the certificate, or with another one, nobody does", seen == [401] * len(others), seen)
    for name, client, certificate in [
        ("no certificate", "pinned", None),
        ("the certificate of another client", "pinned", made.certified),
        ("another name of the same authority", "certified", made.stranger),
        ("the right name, signed by nobody", "certified", made.forged),
        ("another SPIFFE ID", "workload", made.other_svid),
        ("a certificate for servers", "certified", made.server),
    ]:
        status, answer = curl.token(client, certificate)
        right = (status, answer["error"]) in [(401, "invalid_client"), (400, "invalid_request")]
        checks.holds(f"{name}: {answer['error']}", right, answer)
    status, body = curl("/.well-known/oauth-authorization-server")
    metadata = json.loads(body)
    methods = {"tls_client_auth", "self_signed_tls_client_auth"}
    checks.holds("the metadata name both methods", methods <= set(metadata["token_endpoint_auth_methods_supported"]))
    checks.holds("and bound tokens", metadata["tls_client_certificate_bound_access_tokens"] is True)

    with requests.Session() as session:
        # a bundle that the environment names would count before this one
        session.trust_env, session.verify, session.cert = False, str(made.ca), tuple(map(str, made.svid))
        form = {"grant_type": "client_credentials", "client_id": "workload", "resource": curl.base}
        answer = session.post(f"{curl.base}/oauth2/token", form, timeout=10).json()
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        answer = session.get(f"{curl.base}/principal", headers=headers, timeout=10)
        checks.holds("requests gets and uses one with an X.509-SVID", answer.json()["client"] == "workload", answer.text)
        session.cert = None
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(made.ca)
        refused("the token of an X.509-SVID without it", session.get(f"{curl.base}/principal", headers=headers, timeout=10), "")


    command = ["node", HERE / "certificates.mjs", curl.base, "workload", made.ca, *made.svid]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        raise SystemExit("error: certificates.mjs failed")
