"""What clients with keys sign: assertions (RFC 7523) and proofs of possession (RFC 9449), with ES256."""

import base64
import json
import secrets
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())

    def public_pem(self):
        public = self.private.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def public_jwk(self):
        numbers = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": encoded(numbers.x.to_bytes(32)), "y": encoded(numbers.y.to_bytes(32))}

    def sign(self, header, claims):
        text = ".".join(encoded(json.dumps(part).encode()) for part in [header | {"alg": "ES256"}, claims])
        r, s = decode_dss_signature(self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"

    def assertion(self, client, issuer):
        now = int(time.time())
        return self.sign({"typ": "JWT"}, {
            "iss": client, "sub": client, "aud": issuer, "iat": now, "exp": now + 50, "jti": secrets.token_urlsafe(12),
        })

    def proof(self, issuer):
        return self.sign({"typ": "dpop+jwt", "jwk": self.public_jwk()}, {
            "htm": "POST", "htu": f"{issuer}/oauth2/token", "iat": int(time.time()), "jti": secrets.token_urlsafe(12),
        })
