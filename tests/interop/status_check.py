"""Revocation in the policy files, as decisions, introspection and a reader of status lists see it."""

import base64
import zlib
from datetime import UTC, datetime

import jwt
import requests

from authlib_check import Server, refused
from live import checks


def read_list(server, token):
    """The status list to which a token points, and the token's bit: draft-ietf-oauth-status-list section 8.3."""
    reference = jwt.decode(token, options={"verify_signature": False})["status"]["status_list"]
    answer = requests.get(reference["uri"], headers={"Accept": "application/statuslist+jwt"}, timeout=10)
    assert answer.status_code == 200, (answer.status_code, answer.text)
    assert answer.headers["Content-Type"].split(";")[0] == "application/statuslist+jwt", answer.headers
    key = server.keys.get_signing_key_from_jwt(answer.text)
    decoded = jwt.decode_complete(answer.text, key, algorithms=["RS256"], options={"require": ["sub", "iat"]})
    header, claims = decoded["header"], decoded["payload"]
    assert header["typ"] == "statuslist+jwt", header
    assert claims["sub"] == reference["uri"], claims["sub"]
    packed = claims["status_list"]["lst"]
    inflated = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    bits = claims["status_list"]["bits"]
    byte, place = divmod(reference["idx"] * bits, 8)
    # beyond the end is not valid either: an IndexError
    return answer, claims, (inflated[byte] >> place) & ((1 << bits) - 1)


def run(place, base):
    server, holds = Server(base), checks.holds
    listed, operator = server.session("listed"), server.session("operator")

    def bit(token):
        return read_list(server, token)[2]

    def reload():
        token = server.fetch(operator, base, scope="jeton:ops")["access_token"]
        answer = requests.post(f"{base}/ops/reload", headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.status_code == 200, answer.text

    old = server.fetch(listed, base)["access_token"]
    with_refresh = server.fetch(listed)
    old_orders, refresh = with_refresh["access_token"], with_refresh["refresh_token"]
    reference = server.verify(old_orders)["status"]["status_list"]
    holds("a token of a client with status_list points to its list", reference["uri"].startswith(f"{base}/status/"))
    holds(
        "one of a client without does not",
        "status" not in server.verify(server.fetch(server.session("plain"))["access_token"]),
    )

    answer, claims, first = read_list(server, old_orders)
    holds("the list is signed, of its type, and about itself", claims["sub"] == reference["uri"])
    holds("it says how long to keep it", claims["ttl"] > 0 and claims["exp"] > claims["iat"])
    holds("bits are one wide", claims["status_list"]["bits"] == 1)
    holds("a live token's bit is 0", first == 0)
    again = requests.get(reference["uri"], headers={"If-None-Match": answer.headers["ETag"]}, timeout=10)
    holds("the list is not sent twice", again.status_code == 304 and not again.content)
    unknown = requests.get(f"{base}/status/AAAAAAAAAAAAAAAAAAAAAA", timeout=10)
    holds("there is no list of nobody", unknown.status_code == 404)
    holds("the live token is taken by decisions", server.principal(old) == 200)
    holds("and active", server.introspect(old_orders)["active"] is True)

    # --- one token, by the files

    one = server.fetch(listed, base)["access_token"]
    claims = server.verify(one, base)
    until = datetime.fromtimestamp(claims["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place.jeton("token", "revoke", claims["jti"], "--until", until)
    reload()
    holds("a token listed as revoked is refused by decisions", server.principal(one) == 401)
    holds("and not active, and nothing else", server.introspect(one) == {"active": False})
    holds("others are taken still", server.principal(old) == 200)

    # --- the client

    place.jeton("clients", "revoke", "listed")
    reload()
    for name, token in {"the token": old, "the token for another API": old_orders}.items():
        holds(f"a revoked client: {name} has the bit 1", bit(token) == 1)
        holds(f"{name} is not active, and nothing else", server.introspect(token) == {"active": False})
    holds("the token is refused by decisions", server.principal(old) == 401)
    refused("a new token", "invalid_client", server.fetch, listed)
    refused("a refresh", "invalid_client", server.refresh, listed, refresh)
    holds(
        "the token of another client is active still",
        server.introspect(server.fetch(server.session("plain"))["access_token"])["active"],
    )

    # --- the client again, without a reload that is asked for

    place.edit("clients.yaml", "enabled: false", "enabled: true")

    def is_back():
        try:
            server.fetch(listed)
        except Exception:
            return False
        return True

    checks.soon("the client gets tokens again when it is enabled", is_back, 10)
    new, new_orders = server.fetch(listed, base)["access_token"], server.fetch(listed)["access_token"]
    holds("a new token's bit is 0", bit(new) == 0 and bit(new_orders) == 0)
    holds("a new token is taken by decisions, and active", server.principal(new) == 200 and server.introspect(new)["active"])
    holds("an old token's bit is 1 still", bit(old) == 1 and bit(old_orders) == 1)
    holds("an old token is refused still", server.principal(old) == 401 and server.introspect(old) == {"active": False})
    refused("an old refresh token", "invalid_grant", server.refresh, listed, refresh)
