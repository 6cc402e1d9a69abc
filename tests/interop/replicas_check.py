"""Two servers of one issuer that share a redis-server, which is stopped and started in the middle."""

import jwt
import requests
from concurrent.futures import ThreadPoolExecutor

from authlib.integrations.base_client import OAuthError
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from joserfc.jwk import ECKey

from authlib_check import RepeatedAssertion, Server, refused
from live import checks

# within which the other server knows of a revocation
SOON = 2.0


def run(place):
    store = place.redis()
    port = int(store.rsplit(":", 1)[1])
    base = place.serve(store=store)
    one, two = Server(base), Server(place.serve(issuer=base, store=store), issuer=base)
    holds, soon = checks.holds, checks.soon
    holds("revocation is advertised with a shared store", one.metadata["revocation_endpoint"] == f"{base}/oauth2/revoke")
    holds(
        "both servers publish the same keys",
        {key.key_id for key in one.keys.get_signing_keys()} == {key.key_id for key in two.keys.get_signing_keys()},
    )

    # --- revocation

    listed = one.session("listed")
    token = one.fetch(listed, base)["access_token"]
    holds("a token of one server is taken by the other", two.principal(token) == 200 and two.introspect(token)["active"])
    other = two.revoke(two.session("plain"), token)
    checks.refuses("another client cannot revoke it", other, 400, "unauthorized_client")
    holds("it is active still", two.introspect(token)["active"] is True)
    answer = one.revoke(listed, token, "access_token")
    holds("its client can, at one server", answer.status_code == 200, answer.text)
    holds(
        "it is not active there at once, and refused by decisions",
        one.introspect(token) == {"active": False} and one.principal(token) == 401,
    )
    soon("it is not active at the other soon", lambda: two.introspect(token) == {"active": False}, SOON)
    soon("and refused there by decisions", lambda: two.principal(token) == 401, SOON)
    holds("what is no token is revoked with success (RFC 7009)", one.revoke(listed, "none").status_code == 200)
    holds(
        "a client that does not show who it is cannot",
        one.revoke(one.session("listed", secret="wrong"), token).status_code == 401,
    )

    # --- assertions

    key = ECKey.import_key(place.private_key("ES256").read_text())
    assertion = private_key_jwt_sign(key, "key-es256", base, alg="ES256", expires_in=30)

    def repeated(server):
        session = server.session("key-es256", "private_key_jwt", key)
        session.register_client_auth_method(RepeatedAssertion(assertion))
        return server.fetch(session)

    holds("an assertion is taken at one server", "access_token" in repeated(one))
    refused("the same at the other", "invalid_client", repeated, two)

    # --- refresh tokens

    def start():
        answer = one.fetch(one.session("refresher"))
        return answer["access_token"], answer["refresh_token"]

    def refresh(server, token):
        return server.refresh(server.session("refresher"), token)

    access, first = start()
    second = refresh(one, first)
    holds("each use brings a new refresh token", second["refresh_token"] != first)
    third = refresh(two, second["refresh_token"])
    holds("and the other server takes that", two.introspect(third["access_token"])["active"] is True)
    refused("one that was used, at the other server", "invalid_grant", refresh, two, first)
    refused("with it the family ends: the one that was not used", "invalid_grant", refresh, one, third["refresh_token"])
    for name, token in {"first": access, "last": third["access_token"]}.items():
        for server in [one, two]:
            soon(f"and the {name} access token of the family, at {'one' if server is one else 'the other'}", lambda: server.introspect(token) == {"active": False}, SOON)

    access, first = start()
    with ThreadPoolExecutor(2) as pool:

        def attempt(server):
            try:
                return refresh(server, first)["refresh_token"]
            except OAuthError as refusal:
                return refusal

        outcomes = list(pool.map(attempt, [one, two]))
    taken = [outcome for outcome in outcomes if isinstance(outcome, str)]
    holds("of two uses at once on two servers both are taken, as a retry is", len(taken) == 2, outcomes)
    names = {jwt.decode(token, options={"verify_signature": False})["jti"] for token in taken}
    holds("and both bring the same generation", len(names) == 1, names)
    last = refresh(two, taken[0])["refresh_token"]
    refused("once that was used, the one before is not taken", "invalid_grant", refresh, one, first)
    refused("and the family has ended", "invalid_grant", refresh, two, last)

    access, first = start()
    holds("a refresh token is revoked at one server", one.revoke(one.session("refresher"), first).status_code == 200)
    refused("it is refused at the other", "invalid_grant", refresh, two, first)
    soon("its access token is not active there soon", lambda: two.introspect(access) == {"active": False}, SOON)

    by_key = one.key_session(place, "key-rs256", "RS256")
    access = one.fetch(by_key)["access_token"]
    holds("a client with a key revokes its token", one.revoke(by_key, access).status_code == 200)
    soon("it is not active at the other soon", lambda: two.introspect(access) == {"active": False}, SOON)

    # --- without the store

    plain, revoked = one.fetch(one.session("plain"))["access_token"], access
    _, refresh_token = start()
    place.stop_redis()
    answer = one.revoke(one.session("plain"), plain)
    checks.refuses("without the store a revocation is not kept", answer, 503, "temporarily_unavailable")
    holds("it says when to ask again", int(answer.headers["Retry-After"]) > 0)
    # Authlib raises the status of an answer of 500 and more
    for name, attempt in {
        "an assertion": lambda: one.fetch(one.key_session(place, "key-es256", "ES256")),
        "a refresh token": lambda: refresh(one, refresh_token),
    }.items():
        try:
            attempt()
            status = 200
        except requests.HTTPError as error:
            status = error.response.status_code
        holds(f"{name} is not taken without the store: 503", status == 503, status)
    holds("a client with a secret gets tokens all the same", "access_token" in one.fetch(one.session("plain")))
    holds(
        "tokens are active still, and what was revoked is not",
        one.introspect(plain)["active"] and two.introspect(revoked) == {"active": False},
    )

    # --- and with it again

    place.redis(port)

    def is_back(server):
        try:
            return "access_token" in server.fetch(server.key_session(place, "key-es256", "ES256"))
        except requests.HTTPError:
            return False

    for name, server in {"one server": one, "the other": two}.items():
        soon(f"assertions are taken again at {name}, by itself", lambda: is_back(server), 15)
    refused("the assertion that was used before still is not", "invalid_client", repeated, two)
    holds("the refresh token was not used up meanwhile", "access_token" in refresh(two, refresh_token))
    holds("what was revoked is not active", one.introspect(revoked) == {"active": False})
    holds("a revocation is kept again", one.revoke(one.session("plain"), plain).status_code == 200)
    soon("and known at the other soon", lambda: two.introspect(plain) == {"active": False}, SOON)
