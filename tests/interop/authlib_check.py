"""The grants, introspection and revocation by Authlib and PyJWT."""

from urllib.parse import quote_plus

import authlib
import jwt
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from joserfc.jwk import ECKey, OKPKey, RSAKey

from live import INVOICES, KEY_PAIRS, ODD_ID, ODD_SECRET, ORDERS, checks, secret_of

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
KEY_TYPES = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


class FreshAssertion(PrivateKeyJWT):
    """A new assertion for each request, for half a minute; with `header`, what stands in its head besides."""

    def __init__(self, audience, alg, header=None):
        super().__init__(audience, alg=alg)
        self.header = header

    def sign(self, auth, token_endpoint):
        # a header and claims that are given are changed by Authlib, and so must not be shared
        return private_key_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, alg=self.alg, header=dict(self.header or {}), expires_in=30
        )


class RepeatedAssertion(PrivateKeyJWT):
    """One that was signed once, as a client does that keeps it."""

    def __init__(self, assertion):
        super().__init__()
        self.assertion = assertion

    def sign(self, auth, token_endpoint):
        return self.assertion


class Server:
    """An issuer as its metadata describe it, which may be asked at another address."""

    def __init__(self, base, issuer=None):
        self.issuer = issuer or base
        metadata = requests.get(f"{base}/.well-known/oauth-authorization-server", timeout=10).json()
        self.metadata = {
            name: value.replace(self.issuer, base) if name.endswith("_endpoint") or name == "jwks_uri" else value
            for name, value in metadata.items()
        }
        self.token_url = self.metadata["token_endpoint"]
        self.introspection_url = self.metadata["introspection_endpoint"]
        self.revocation_url = f"{base}/oauth2/revoke"
        self.keys = jwt.PyJWKClient(self.metadata["jwks_uri"])
        self.base = base

    def session(self, client, method="client_secret_basic", secret=None):
        return OAuth2Session(
            client, secret or secret_of(client), default_timeout=10,
            token_endpoint_auth_method=method, revocation_endpoint_auth_method=method,
        )

    def key_session(self, place, client, algorithm, header=None):
        key = KEY_TYPES[algorithm].import_key(place.private_key(algorithm).read_text())
        session = self.session(client, "private_key_jwt", key)
        session.register_client_auth_method(FreshAssertion(self.issuer, algorithm, header))
        return session

    def fetch(self, session, resource=ORDERS, **more):
        more = {"grant_type": "client_credentials", "resource": resource} | more
        return dict(session.fetch_token(self.token_url, **more))

    def exchange(self, session, token, resource=ORDERS, **more):
        more = {"subject_token": token, "subject_token_type": ACCESS_TOKEN} | more
        return self.fetch(session, resource, grant_type=EXCHANGE, **more)

    def refresh(self, session, refresh_token, **more):
        """What the server itself answered: Authlib would put the old refresh token where there is no new one."""
        answers = []
        session.compliance_hook["refresh_token_response"] = {lambda answer: answers.append(answer.json()) or answer}
        session.refresh_token(self.token_url, refresh_token=refresh_token, **more)
        return answers[0]

    def introspect(self, token, session=None):
        session = session or self.session("introspector")
        answer = session.introspect_token(self.introspection_url, token=token)
        answer.raise_for_status()
        return answer.json()

    def revoke(self, session, token, hint=None):
        return session.revoke_token(self.revocation_url, token=token, token_type_hint=hint)

    def verify(self, token, audience=ORDERS):
        options = {"require": ["iss", "aud", "exp", "iat", "jti", "sub", "client_id"]}
        decoded = jwt.decode_complete(
            token, self.keys.get_signing_key_from_jwt(token), algorithms=["RS256"], issuer=self.issuer,
            audience=audience, options=options,
        )
        assert decoded["header"]["typ"] == "at+jwt"
        return decoded["payload"]

    def principal(self, token):
        """The status of a decision of the server's own about a token."""
        answer = requests.get(f"{self.base}/principal", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        return answer.status_code


def refused(name, error, attempt, *arguments, **more):
    try:
        attempt(*arguments, **more)
    except OAuthError as refusal:
        checks.holds(f"{name}: {error}", refusal.error == error, (refusal.error, refusal.description))
        return refusal
    raise SystemExit(f"error: {name}: it was not refused")


def run(place, base):
    server = Server(base)
    metadata = server.metadata
    holds = checks.holds

    # --- discovery

    methods = metadata["token_endpoint_auth_methods_supported"]
    algorithms = metadata["token_endpoint_auth_signing_alg_values_supported"]
    holds(
        "the ways to authenticate are advertised",
        set(methods) == {"client_secret_basic", "client_secret_post", "private_key_jwt"},
    )
    holds(
        "the grants are advertised",
        set(metadata["grant_types_supported"]) == {"client_credentials", "refresh_token", EXCHANGE},
    )
    holds("the signature algorithms of assertions are advertised", set(KEY_PAIRS) <= set(algorithms))
    holds("revocation is not advertised where no store is shared", "revocation_endpoint" not in metadata)

    # --- client credentials

    for method in ["client_secret_basic", "client_secret_post"]:
        answer = server.fetch(server.session("plain", method))
        claims = server.verify(answer["access_token"])
        holds(f"Authlib gets a token by {method}", claims["client_id"] == "plain" and answer["expires_in"] == 900)
        holds("there is no refresh token for a client that shall have none", "refresh_token" not in answer)
    encoded = server.session(quote_plus(ODD_ID), secret=quote_plus(ODD_SECRET))
    holds(
        "an odd id and secret, form-encoded, by client_secret_basic",
        server.verify(server.fetch(encoded)["access_token"])["sub"] == ODD_ID,
    )
    plain = server.session(ODD_ID, "client_secret_post", ODD_SECRET)
    holds("an odd id and secret by client_secret_post", server.verify(server.fetch(plain)["access_token"])["sub"] == ODD_ID)
    unencoded = server.session("odd client: 100% + 1/2", secret="plain")
    refused("an odd id and secret, not encoded, by client_secret_basic", "invalid_client", server.fetch, unencoded)
    refused("a wrong secret", "invalid_client", server.fetch, server.session("plain", secret="wrong"))
    refused("a scope beyond the grant", "invalid_scope", server.fetch, server.session("plain"), scope="jeton:ops")
    refused("another resource", "invalid_target", server.fetch, server.session("plain"), "https://other.example.com")
    two = refused("two resources", "invalid_target", server.fetch, server.session("plain"), ORDERS, audience=INVOICES)
    holds("it says why", "one `resource` at a time" in two.description, two.description)

    # --- private_key_jwt

    for algorithm in KEY_PAIRS:
        session = server.key_session(place, f"key-{algorithm.lower()}", algorithm)
        for time_ in ["a", "another"]:
            claims = server.verify(server.fetch(session)["access_token"])
            holds(
                f"Authlib gets {time_} token by private_key_jwt with {algorithm}",
                claims["client_id"] == session.client_id,
            )
    strict = {"typ": "client-authentication+jwt"}
    session = server.key_session(place, "strict", "ES256", strict)
    holds(
        "a client with strict_assertions names type and issuer",
        server.verify(server.fetch(session)["access_token"])["sub"] == "strict",
    )
    refused("its assertion without that type", "invalid_client", server.fetch, server.key_session(place, "strict", "ES256"))

    key = ECKey.import_key(place.private_key("ES256").read_text())
    session = server.session("key-es256", "private_key_jwt", key)
    session.register_client_auth_method(PrivateKeyJWT(server.issuer, alg="ES256"))
    refused("an assertion as long-lived as Authlib makes it by itself", "invalid_client", server.fetch, session)
    assertion = private_key_jwt_sign(key, "key-es256", server.issuer, alg="ES256", expires_in=30)
    session.register_client_auth_method(RepeatedAssertion(assertion))
    holds("an assertion is taken once", "access_token" in server.fetch(session))
    refused("the same assertion again", "invalid_client", server.fetch, session)
    another = server.session("key-rs256", "private_key_jwt", key)
    another.register_client_auth_method(FreshAssertion(server.issuer, "ES256"))
    refused("an assertion signed with a key of another client", "invalid_client", server.fetch, another)
    for audience in [f"{server.issuer}/", f"{server.issuer}@evil.example.com", "https://evil.example.com"]:
        session.register_client_auth_method(FreshAssertion(audience, "ES256"))
        refused(f"an assertion for {audience}", "invalid_client", server.fetch, session)
    session.register_client_auth_method(FreshAssertion(server.token_url, "ES256"))
    holds("an assertion for the token endpoint", "access_token" in server.fetch(session))
    token = server.fetch(session)["access_token"]
    session.register_client_auth_method(RepeatedAssertion(token))
    refused("an access token as an assertion", "invalid_client", server.fetch, session)

    # --- token exchange

    exchanger = server.session("exchanger")
    subject = server.fetch(server.session("plain"))["access_token"]
    before = server.verify(subject)
    answer = server.exchange(exchanger, subject, scope="orders:read")
    claims = server.verify(answer["access_token"])
    holds("an exchange narrows the scopes", (answer["scope"], claims["scope"]) == ("orders:read", "orders:read"))
    holds("it says what it gives", answer["issued_token_type"] == ACCESS_TOKEN)
    holds(
        "the subject stays, and the client is who exchanged",
        (claims["sub"], claims["client_id"]) == ("plain", "exchanger"),
    )
    holds("the claims stay, and the role goes with its scope", claims["tenant"] == "acme" and "roles" not in claims)
    holds("the new token lives no longer", claims["exp"] <= before["exp"])
    holds("the exchanges are counted", claims["exchanges"] == 1)
    narrow = answer["access_token"]
    refused("a wider scope than the token has", "invalid_scope", server.exchange, exchanger, narrow, scope="orders:write")
    refused("another API, where nothing of it is left", "invalid_scope", server.exchange, exchanger, narrow, INVOICES)
    refused("an exchange by a client that may not", "unauthorized_client", server.exchange, server.session("plain"), subject)
    refused("a token that is none", "invalid_request", server.exchange, exchanger, "none")
    refused("an actor token", "invalid_request", server.exchange, exchanger, subject, actor_token=subject, actor_token_type=ACCESS_TOKEN)
    for count in [2, 3, 4]:
        narrow = server.exchange(exchanger, narrow)["access_token"]
        holds(f"exchange {count} of a token", server.verify(narrow)["exchanges"] == count)
    refused("one exchange too many", "invalid_request", server.exchange, exchanger, narrow)

    # --- refresh tokens

    refresher = server.session("refresher")
    first = server.fetch(refresher)
    refresh = first["refresh_token"]
    again = server.refresh(refresher, refresh)
    holds(
        "a refresh token brings another token",
        server.verify(again["access_token"])["jti"] != server.verify(first["access_token"])["jti"],
    )
    holds(
        "and stays good where no store is shared",
        "refresh_token" not in again and "access_token" in server.refresh(refresher, refresh),
    )
    holds("it can be asked for less", server.refresh(refresher, refresh, scope="orders:read")["scope"] == "orders:read")
    refused("it cannot be asked for more", "invalid_scope", server.refresh, refresher, refresh, scope="invoices:read")
    refused("nor for another API", "invalid_target", server.refresh, refresher, refresh, resource=INVOICES)
    refused("a refresh token that is none", "invalid_grant", server.refresh, refresher, "none")
    refused("an access token as a refresh token", "invalid_grant", server.refresh, refresher, first["access_token"])
    listed = server.session("listed")
    refused("the refresh token of another client", "invalid_grant", server.refresh, listed, refresh)
    refused("a refresh by a client that may not", "unauthorized_client", server.refresh, server.session("plain"), refresh)
    holds("a refresh token is no access token", server.principal(refresh) == 401)

    # --- introspection

    token = server.fetch(server.session("plain"))["access_token"]
    claims, answer = server.verify(token), server.introspect(token)
    holds("a live token is active", answer["active"] is True and answer["token_type"] == "Bearer")
    same = ["iss", "aud", "sub", "client_id", "scope", "exp", "iat", "jti", "tenant", "roles"]
    holds("introspection says what the token says", all(answer[name] == claims[name] for name in same), answer)
    by_key = server.key_session(place, "key-eddsa", "EdDSA")
    holds("introspection by a client with a key", server.introspect(token, by_key)["active"] is True)
    holds("what is no token is not active, and nothing else", server.introspect("none") == {"active": False})
    holds("another client's refresh token neither", server.introspect(refresh) == {"active": False})
    answer = server.session("plain").introspect_token(server.introspection_url, token=token)
    checks.refuses("introspection by a client that may not", answer, 400, "unauthorized_client")
    answer = server.session("introspector", secret="wrong").introspect_token(server.introspection_url, token=token)
    checks.refuses("introspection with a wrong secret", answer, 401, "invalid_client")

    # --- revocation

    answer = server.revoke(server.session("plain"), token)
    checks.refuses("revocation without a shared store", answer, 400, "unsupported_token_type")
    holds("and the token is active still", server.introspect(token)["active"] is True)

    print(f"Authlib {authlib.__version__}, PyJWT {jwt.__version__}")
