"""requests_oauth2client, requests-oauthlib and the `sts` of google-auth."""

import os

import jwt
import requests
from google.auth.exceptions import OAuthError
from google.auth.transport.requests import Request
from google.oauth2 import sts
from google.oauth2.utils import ClientAuthentication, ClientAuthType
from jwskate import Jwk
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError
from requests_oauth2client import OAuth2Client, OAuth2ClientCredentialsAuth, PrivateKeyJwt
from requests_oauth2client.exceptions import InvalidClient, InvalidScope, InvalidTarget
from requests_oauthlib import OAuth2Session

from live import ORDERS, checks, secret_of

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def refused(name, error, words, attempt, *arguments, **more):
    try:
        attempt(*arguments, **more)
    except error as refusal:
        checks.holds(f"{name}: {error.__name__}: {words}", words in str(refusal), str(refusal))
    else:
        raise SystemExit(f"error: {name}: it was not refused")


def by_requests_oauth2client(place, base):
    def client(secret=None, **more):
        more = more or {"client_id": "reader", "client_secret": secret or secret_of("reader")}
        # `testing`: an issuer without TLS
        return OAuth2Client.from_discovery_endpoint(issuer=base, testing=True, **more)

    def principal(resource):
        login = OAuth2ClientCredentialsAuth(client(), resource=resource)
        return requests.get(f"{base}/principal", auth=login, timeout=10)

    answer = principal(base)
    checks.holds("requests_oauth2client gets a token and uses it", answer.json()["client"] == "reader", answer.text)
    answer = principal(ORDERS)
    checks.holds("a token for another audience is refused", answer.status_code == 401, answer.text)
    key = Jwk.from_pem(place.private_key("RS256").read_text()).with_kid_thumbprint()
    token = client(auth=PrivateKeyJwt("keyed-agent", key, alg="RS256")).client_credentials()
    checks.holds("it gets one with a key", token.scope == "tools:call tools:list", token.scope)
    asking = client(client_id="introspector", client_secret=secret_of("introspector"))
    checks.holds("it asks about one", asking.introspect_token(token)["client_id"] == "keyed-agent")
    wrong = "client authentication failed"
    refused("a wrong secret", InvalidClient, wrong, client("wrong").client_credentials, resource=base)
    refused("a scope beyond the grant", InvalidScope, "jeton:ops", client().client_credentials, resource=base, scope="jeton:ops")
    other = "https://other.example.com"
    refused("another resource", InvalidTarget, "resource", client().client_credentials, resource=other)


def by_requests_oauthlib(base):
    # a server without TLS
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

    def session(secret=None, scope=None, **more):
        made = OAuth2Session(client=BackendApplicationClient(client_id="reader", scope=scope))
        secret = secret or secret_of("reader")
        made.fetch_token(f"{base}/oauth2/token", client_id="reader", client_secret=secret, resource=base, **more)
        return made

    for way, more in {"client_secret_basic": {}, "client_secret_post": {"include_client_id": True, "auth": False}}.items():
        answer = session(**more).get(f"{base}/principal", timeout=10)
        checks.holds(f"requests-oauthlib gets a token by {way} and uses it", answer.ok, answer.text)
        refused("a wrong secret", InvalidClientError, "(invalid_client)", session, "wrong", **more)
    refused("a scope beyond the grant", InvalidScopeError, "jeton:ops", session, scope=["jeton:ops"])


def by_sts(base):
    def exchange(token, secret=None, **more):
        way = ClientAuthentication(ClientAuthType.basic, "exchanger", secret or secret_of("exchanger"))
        return sts.Client(f"{base}/oauth2/token", way).exchange_token(Request(), EXCHANGE, token, ACCESS_TOKEN, **more)

    form = {"grant_type": "client_credentials", "resource": ORDERS}
    answer = requests.post(f"{base}/oauth2/token", form, auth=("reader", secret_of("reader")), timeout=10)
    token = answer.json()["access_token"]
    narrow = exchange(token, audience=ORDERS, scopes=["orders:read"], requested_token_type=ACCESS_TOKEN)
    keys = jwt.PyJWKClient(f"{base}/.well-known/jwks.json")
    key = keys.get_signing_key_from_jwt(narrow["access_token"])
    claims = jwt.decode(narrow["access_token"], key, algorithms=["RS256"], issuer=base, audience=ORDERS)
    seen = (claims["sub"], claims["client_id"], claims["scope"])
    checks.holds("google-auth's sts exchanges a token for a narrower one", seen == ("reader", "exchanger", "orders:read"), seen)
    refused("a wrong secret", OAuthError, "Error code invalid_client", exchange, token, "wrong")
    refused("a wider scope", OAuthError, "Error code invalid_scope", exchange, narrow["access_token"], scopes=["orders:write"])
    refused("a token that is none", OAuthError, "Error code invalid_request", exchange, "none")


def run(place):
    base = place.serve()
    by_requests_oauth2client(place, base)
    by_requests_oauthlib(base)
    by_sts(base)
