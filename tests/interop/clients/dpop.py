"""requests_oauth2client with DPoP: tokens that are bound to a key, and what a thief does with one."""

import base64
import json

import requests
from requests_oauth2client import DPoPKey, OAuth2Client, OAuth2ClientCredentialsAuth
from requests_oauth2client.dpop import MissingDPoPNonce
from requests_oauth2client.exceptions import InvalidRequest

from live import checks, secret_of


def claims_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def by_requests_oauth2client(base, nonces):
    def client(name="holder"):
        # `testing`: an issuer without TLS
        return OAuth2Client.from_discovery_endpoint(
            issuer=base, client_id=name, client_secret=secret_of(name), testing=True
        )

    principal = f"{base}/principal"
    for alg in ("ES256", "RS256", "PS256", "EdDSA"):
        key = DPoPKey.generate(alg)
        token = client().client_credentials(resource=base, dpop_key=key, dpop=True)
        bound = claims_of(token.access_token)["cnf"]["jkt"]
        checks.holds(f"requests_oauth2client gets a token that is bound by {alg}", bound == key.dpop_jkt, bound)
        checks.holds("it was asked for a nonce", (key.as_nonce is not None) == (nonces == "required"), key.as_nonce)
        answer = requests.get(principal, auth=token, timeout=10)
        checks.holds("it uses it", answer.ok and answer.json()["client"] == "holder", answer.text)
    login = OAuth2ClientCredentialsAuth(client("strict-holder"), resource=base, dpop=True, dpop_key=DPoPKey.generate())
    for _ in range(2):
        answer = requests.get(principal, auth=login, timeout=10)
        checks.holds("a program that fetches tokens by itself shows a new proof each time", answer.ok, answer.text)
    refreshed = client().refresh_token(token)
    checks.holds("it refreshes one", claims_of(refreshed.access_token)["cnf"]["jkt"] == token.dpop_key.dpop_jkt)
    answer = requests.get(principal, auth=refreshed, timeout=10)
    checks.holds("it uses that", answer.ok, answer.text)
    try:
        client("strict-holder").client_credentials(resource=base)
    except InvalidRequest as refusal:
        checks.holds("without a key, a client with bound_tokens gets none", "bound" in str(refusal), str(refusal))
    else:
        raise SystemExit("error: a client with bound_tokens got an unbound token")
    by_a_thief(principal, token)


def by_a_thief(principal, token):
    """Who has the token, and the last proof."""
    answer = requests.get(principal, auth=token, timeout=10)
    proof, stolen = answer.request.headers["DPoP"], token.access_token
    shown = {
        "the stolen token as Bearer": {"Authorization": f"Bearer {stolen}"},
        "as Bearer with the proof": {"Authorization": f"Bearer {stolen}", "DPoP": proof},
        "as DPoP without one": {"Authorization": f"DPoP {stolen}"},
        "the proof once more": {"Authorization": f"DPoP {stolen}", "DPoP": proof},
    }
    for name, headers in shown.items():
        refused(name, requests.get(principal, headers=headers, timeout=10), "DPoP")
    another = type(token)(stolen, _dpop_key=DPoPKey.generate())
    try:
        requests.get(principal, auth=another, timeout=10)
    except MissingDPoPNonce as refusal:
        # the library takes each 401 with such a challenge for a wish for a nonce
        refused("a proof by another key", refusal.response, "DPoP")
    else:
        raise SystemExit("error: requests_oauth2client says nothing of a refused proof")


def refused(name, answer, scheme):
    challenge = answer.headers.get("WWW-Authenticate", "")
    seen = (answer.status_code, challenge)
    right = answer.status_code == 401 and challenge.startswith(scheme) and 'error="invalid_token"' in challenge
    checks.holds(f"{name}: 401 invalid_token", right, seen)


def run(place):
    for nonces in ("off", "required"):
        by_requests_oauth2client(place.serve(JETON__TOKENS__DPOP_NONCE=nonces), nonces)
