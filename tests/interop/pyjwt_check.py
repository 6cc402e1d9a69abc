#!/usr/bin/env python3
"""Checks tokens of a running server in a foreign library, with keys that it fetches by URL.

    pyjwt_check.py BASE_URL      the server has the sample policies, and BASE_URL as its issuer
"""

import base64
import hashlib
import json
import sys

import jwt
import requests

BASE = sys.argv[1].rstrip("/")
ORDERS = "https://orders.example.com"
checks = 0


def check(name, holds):
    global checks
    if not holds:
        sys.exit(f"error: {name}")
    checks += 1
    print(f"ok: {name}")


def refused(name, error, token, **changes):
    try:
        verify(token, **changes)
    except error as refusal:
        check(f"{name}: {type(refusal).__name__}", True)
    except Exception as other:  # another refusal than the right one is a failure too
        sys.exit(f"error: {name}: {other!r} instead of {error}")
    else:
        sys.exit(f"error: {name}: the token was taken")


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def document(path):
    answer = requests.get(BASE + path, timeout=10)
    check(f"GET {path} answers 200", answer.status_code == 200)
    return answer


# --- discovery (RFC 8414) and the key set

metadata = document("/.well-known/oauth-authorization-server").json()
check("the metadata names the issuer by which it was asked", metadata["issuer"] == BASE)
check("both well-known documents are the same", document("/.well-known/openid-configuration").json() == metadata)
check("the key set lies below the issuer", metadata["jwks_uri"].startswith(BASE + "/"))
check("client credentials are advertised", "client_credentials" in metadata["grant_types_supported"])

answer = requests.get(metadata["jwks_uri"], timeout=10)
published = answer.json()["keys"]
check("a key is published", len(published) >= 1)
for key in published:
    check("the key is for RS256 signatures", (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256"))
    check("nothing private is published", set(key) == {"kty", "use", "alg", "kid", "n", "e"})
    members = json.dumps({name: key[name] for name in ("e", "kty", "n")}, separators=(",", ":"), sort_keys=True)
    check("the kid is the thumbprint (RFC 7638)", key["kid"] == b64url(hashlib.sha256(members.encode()).digest()))
again = requests.get(metadata["jwks_uri"], headers={"If-None-Match": answer.headers["ETag"]}, timeout=10)
check("the key set is not sent twice", again.status_code == 304 and not again.content)

# --- tokens

keys = jwt.PyJWKClient(metadata["jwks_uri"])


def token_of(client, resource, method, **more):
    form = {"grant_type": "client_credentials", "resource": resource, **more}
    secret = f"demo-secret-of-{client}"
    if method == "client_secret_basic":
        answer = requests.post(metadata["token_endpoint"], data=form, auth=(client, secret), timeout=10)
    else:
        form |= {"client_id": client, "client_secret": secret}
        answer = requests.post(metadata["token_endpoint"], data=form, timeout=10)
    check(f"{client} gets a token by {method}", answer.status_code == 200)
    check("it is not to be cached", answer.headers["Cache-Control"] == "no-store")
    check("it is a bearer token", answer.json()["token_type"] == "Bearer")
    return answer.json()


def verify(token, **changes):
    options = {"require": ["iss", "aud", "exp", "iat", "jti", "sub", "client_id"]}
    wanted = {"audience": ORDERS, "issuer": BASE, "algorithms": ["RS256"], "options": options} | changes
    return jwt.decode_complete(token, keys.get_signing_key_from_jwt(token), **wanted)


for method in ["client_secret_basic", "client_secret_post"]:
    check(f"{method} is advertised", method in metadata["token_endpoint_auth_methods_supported"])
    answer = token_of("acme-sync", ORDERS, method)
    token = answer["access_token"]
    decoded = verify(token)
    header, claims = decoded["header"], decoded["payload"]
    check("typ is at+jwt (RFC 9068)", header["typ"] == "at+jwt")
    check("kid is one of the published", header["kid"] in [key["kid"] for key in published])
    check("sub and client_id are the client", claims["sub"] == claims["client_id"] == "acme-sync")
    check("the scopes are those of the answer", claims["scope"] == answer["scope"] == "orders:read orders:write")
    check("the role and the claim of the client are there", (claims["roles"], claims["tenant"]) == (["order-agent"], "acme"))
    check("it lives as long as the answer says", claims["exp"] - claims["iat"] == answer["expires_in"] == 900)

narrow = token_of("acme-sync", ORDERS, "client_secret_basic", scope="orders:read")["access_token"]
claims = verify(narrow)["payload"]
check("a narrower token has fewer scopes, and not the role", claims["scope"] == "orders:read" and "roles" not in claims)
check("every token has its own jti", claims["jti"] != decoded["payload"]["jti"])

# --- what must not be taken

head, payload, signature = token.split(".")
more = json.loads(unb64url(payload)) | {"tenant": "globex"}
forged = ".".join([head, b64url(json.dumps(more).encode()), signature])
flipped = bytearray(unb64url(signature))
flipped[0] ^= 1
unsigned = ".".join([b64url(json.dumps({"typ": "at+jwt", "alg": "none", "kid": header["kid"]}).encode()), payload, ""])
refused("a changed claim", jwt.InvalidSignatureError, forged)
refused("a changed signature", jwt.InvalidSignatureError, ".".join([head, payload, b64url(bytes(flipped))]))
refused("the signature of another token", jwt.InvalidSignatureError, ".".join([head, payload, narrow.split(".")[2]]))
refused("no signature", jwt.InvalidAlgorithmError, unsigned)
refused("another audience", jwt.InvalidAudienceError, token, audience="https://other.example.com")
refused("another issuer", jwt.InvalidIssuerError, token, issuer="https://other.example.com")
# seen from a clock that is an hour ahead
refused("an expired token", jwt.ExpiredSignatureError, token, leeway=-3600, options={"verify_iat": False, "verify_nbf": False})
for bad, name in [(forged, "a changed claim"), (unsigned, "no signature")]:
    answer = requests.get(f"{BASE}/principal", headers={"Authorization": f"Bearer {bad}"}, timeout=10)
    check(f"the server itself refuses {name}", answer.status_code == 401 and "invalid_token" in answer.headers["WWW-Authenticate"])

print(f"{checks} checks by PyJWT {jwt.__version__} hold")
