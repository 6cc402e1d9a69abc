"""`jeton.asgi.Protect` without a server: scopes as servers make them, and as they should not."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from typing import Any, Optional

import pytest
from jeton import Authorizer, Principal
from jeton.asgi import Protect
from servers import ACME, ORDERS
from table import DecisionTable

Scope = dict[str, Any]


def http(table: DecisionTable, target: str = ACME, token: Optional[str] = "reader", **more: Any) -> Scope:
    path, _, query = target.partition("?")
    headers = [(b"authorization", f"Bearer {table.token(token)}".encode())] if token else []
    return {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "headers": headers, **more,
    }  # fmt: skip


class App:
    """Remembers the scope with which it was called."""

    def __init__(self) -> None:
        self.scope: Optional[Scope] = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})


def call(authorizer: Authorizer, scope: Scope, **options: Any) -> tuple[list[dict[str, Any]], Optional[Scope]]:
    """What was sent, and the scope that the application saw."""
    app, sent = App(), []

    async def receive() -> dict[str, Any]:
        return {"type": f"{scope['type']}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Protect(app, authorizer, **options)(scope, receive, send))
    return sent, app.scope


def problem(sent: list[dict[str, Any]]) -> dict[str, Any]:
    head, body = sent
    headers = dict(head["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    document: dict[str, Any] = json.loads(body["body"])
    assert document["status"] == head["status"]
    return document


def test_the_principal_is_in_the_state(table: DecisionTable, orders: Authorizer) -> None:
    theirs = {"database": 1}
    sent, seen = call(orders, http(table, state=theirs))
    assert sent[0]["status"] == 204 and seen is not None
    assert isinstance(seen["state"]["principal"], Principal)
    assert seen["state"]["principal"].client == "acme-sync"
    assert seen["state"]["database"] == 1
    assert theirs == {"database": 1}, "a server may have one state for all requests"


def test_a_public_route_has_nobody_in_the_state(table: DecisionTable, orders: Authorizer) -> None:
    _, seen = call(orders, http(table, "/healthz", None, state={"principal": "forged"}))
    assert seen is not None and seen["state"]["principal"] is None


def test_refusals_do_not_reach_the_application(table: DecisionTable, orders: Authorizer) -> None:
    sent, seen = call(orders, http(table, token=None))
    assert seen is None
    assert problem(sent)["detail"] == "this needs an access token"
    assert dict(sent[0]["headers"])[b"www-authenticate"] == b"Bearer"
    sent, seen = call(orders, http(table, method="HEAD", token=None))
    assert (seen, sent[0]["status"], sent[1]["body"]) == (None, 401, b"")


def test_a_bound_token_needs_its_proof(table: DecisionTable, orders: Authorizer) -> None:
    token, proof = f"DPoP {table.token('bound')}".encode(), table.proof().encode()

    def ask(*dpop: bytes, **scope: Any) -> int:
        headers = [(b"authorization", token), *((b"DPoP", value) for value in dpop)]
        sent, seen = call(orders, http(table, headers=headers, **scope))
        assert (sent[0]["status"] == 204) == (seen is not None)
        status: int = sent[0]["status"]
        return status

    assert ask(proof) == 204
    assert ask(proof) == 401, "it was used"
    assert ask() == 401
    assert ask(table.proof().encode(), table.proof().encode()) == 401, "two headers"
    assert ask(table.proof().encode() + b"," + table.proof().encode()) == 401
    assert ask(table.proof(htm="POST").encode()) == 401
    sent, _ = call(orders, http(table, headers=[(b"authorization", token)]))
    assert dict(sent[0]["headers"])[b"www-authenticate"].startswith(b"DPoP algs=")
    # no host of the request counts
    hosts = [(b"host", b"evil.example"), (b"x-forwarded-host", b"evil.example"), (b"forwarded", b"host=evil.example")]
    for htu, status in [(f"https://evil.example{ACME}", 401), (f"{ORDERS}{ACME}", 204)]:
        headers = [*hosts, (b"authorization", token), (b"dpop", table.proof(htu=htu).encode())]
        assert call(orders, http(table, headers=headers))[0][0]["status"] == status


def test_a_proof_names_the_place_at_which_the_application_is(table: DecisionTable, orders: Authorizer) -> None:
    token = (b"authorization", f"DPoP {table.token('bound')}".encode())
    for path in (f"/api{ACME}", ACME):
        for htu, status in [(f"{ORDERS}/api{ACME}", 204), (f"{ORDERS}{ACME}", 401)]:
            headers = [token, (b"dpop", table.proof(htu=htu).encode())]
            sent, _ = call(orders, http(table, path, root_path="/api", headers=headers), mounted_at="/api")
            assert sent[0]["status"] == status, (path, htu)


def test_a_certificate_is_that_of_the_connection(table: DecisionTable, orders: Authorizer) -> None:
    own, renewed = (ssl.DER_cert_to_PEM_cert(table.certificate(name)) for name in ("holder", "renewed"))
    for tls, status in [
        ({"client_cert_chain": [own]}, 204),
        ({"client_cert_chain": (own, renewed), "client_cert_error": None}, 204),
        ({"client_cert_chain": [renewed, own]}, 401),
        ({"client_cert_chain": [own], "client_cert_error": "expired"}, 401),
        ({"client_cert_chain": ["no certificate"], "client_cert_error": "expired"}, 401),
        ({"client_cert_chain": []}, 401),
        ({"client_cert_chain": None}, 401),
        ({}, 401),
        (None, 401),
        ({"client_cert_chain": ["no certificate"]}, 500),
        ({"client_cert_chain": [table.certificate("holder")]}, 500),
    ]:
        sent, seen = call(orders, http(table, token="certified", extensions={"tls": tls}))
        assert (sent[0]["status"], seen is not None) == (status, status == 204), tls
    # no header makes one
    escaped = base64.b64encode(table.certificate("holder"))
    forged = [(b"client-cert", b":" + escaped + b":"), (b"ssl-client-cert", own.encode()), (b"x-ssl-cert", escaped)]
    headers = [(b"authorization", f"Bearer {table.token('certified')}".encode()), *forged]
    assert call(orders, http(table, headers=headers))[0][0]["status"] == 401


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer x")],
        [(b"Authorization", b"Bearer x"), (b"authorization", b"Basic x")],
        [(b"authorization", b"Bearer \xff")],
        [(b"authorization", b"Bearer")],
    ],
)
def test_unclear_headers_are_refused(table: DecisionTable, orders: Authorizer, headers: Any) -> None:
    sent, seen = call(orders, http(table, "/healthz", headers=headers))
    assert (seen, sent[0]["status"]) == (None, 400)


def test_a_token_in_the_query_is_refused(table: DecisionTable, orders: Authorizer) -> None:
    sent, seen = call(orders, http(table, "/healthz?access_token=x"))
    assert (seen, sent[0]["status"]) == (None, 400)


@pytest.mark.parametrize(
    ("scope", "status", "words"),
    [
        # what the server does not tell
        ({"raw_path": None}, 500, "raw_path"),
        ({"raw_path": ACME}, 500, "raw_path"),
        # what it or a middleware decoded or rewrote
        ({"raw_path": b"/healthz"}, 500, "rewrite the path"),
        ({"path": "/tenants/globex/orders"}, 500, "rewrite the path"),
        ({"path": "/tenants/acme/orders/"}, 500, "rewrite the path"),
        ({"raw_path": b"/tenants/%61cme/orders", "path": "/tenants/%61cme/orders"}, 500, "rewrite the path"),
        # what the policies refuse anyway
        ({"raw_path": b"/tenants/acme%2Forders"}, 403, "does not allow"),
        ({"raw_path": b"/tenants/\xff/orders", "path": "/tenants/\ufffd/orders"}, 403, "does not allow"),
        ({"raw_path": b"/tenants/%ff/orders", "path": "/tenants/\ufffd/orders"}, 403, "does not allow"),
        ({"raw_path": b"//tenants/acme/orders", "path": ACME}, 403, "does not allow"),
        ({"raw_path": b""}, 403, "does not allow"),
        # what the application would cut off
        ({"root_path": "/healthz"}, 500, "mounted_at='/healthz'"),
        ({"root_path": "/tenants"}, 500, "mounted_at='/tenants'"),
    ],
)
def test_what_nobody_can_judge_is_refused(
    table: DecisionTable, orders: Authorizer, scope: Any, status: int, words: str
) -> None:
    sent, seen = call(orders, http(table, **scope))
    assert (seen, sent[0]["status"]) == (None, status)
    assert words in problem(sent)["detail"]


def test_without_raw_path_nothing_passes(table: DecisionTable, orders: Authorizer) -> None:
    scope = http(table, "/healthz", None)
    del scope["raw_path"]
    sent, seen = call(orders, scope)
    assert (seen, sent[0]["status"]) == (None, 500)


def test_a_query_behind_raw_path_is_cut_off(table: DecisionTable, orders: Authorizer) -> None:
    sent, _ = call(orders, http(table, raw_path=f"{ACME}?page=2".encode(), query_string=b"page=2"))
    assert sent[0]["status"] == 204


@pytest.mark.parametrize(
    ("path", "root_path", "status"),
    [
        (f"/api{ACME}", "/api", 204),
        # a proxy cut it off
        (ACME, "/api", 204),
        ("/api/tenants/globex/orders", "/api", 403),
        (f"/apis{ACME}", "/api", 403),
        ("/api", "/api", 403),
        (f"/%61pi{ACME}", "/api", 403),
        (f"/api{ACME}", "", 500),
        (ACME, "/v2", 500),
    ],
)
def test_an_application_is_mounted_where_its_author_says(
    table: DecisionTable, orders: Authorizer, path: str, root_path: str, status: int
) -> None:
    scope = http(table, path, root_path=root_path)
    scope["path"] = path.replace("%61", "a")
    sent, seen = call(orders, scope, mounted_at="/api")
    assert (sent[0]["status"], seen is not None) == (status, status == 204)


@pytest.mark.parametrize("mounted_at", ["api", "/", "/api/"])
def test_a_wrong_mount_point_is_said(orders: Authorizer, mounted_at: str) -> None:
    with pytest.raises(ValueError, match="'/api'"):
        Protect(App(), orders, mounted_at=mounted_at)


def websocket(table: DecisionTable, **more: Any) -> Scope:
    scope = http(table, **more)
    del scope["method"]
    return {**scope, "type": "websocket"}


def test_a_websocket_is_judged_as_its_handshake(table: DecisionTable, orders: Authorizer) -> None:
    sent, seen = call(orders, websocket(table))
    assert sent == [] and seen is not None and seen["state"]["principal"].client == "acme-sync"
    sent, seen = call(orders, websocket(table, token=None))
    assert (sent, seen) == ([{"type": "websocket.close", "code": 1008}], None)
    sent, seen = call(orders, websocket(table, token=None, extensions={"websocket.http.response": {}}))
    assert seen is None
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert problem(sent)["status"] == 401
    sent, seen = call(orders, websocket(table, raw_path=None))
    assert (sent[0]["type"], seen) == ("websocket.close", None)


def test_lifespan_passes_through(orders: Authorizer) -> None:
    scope = {"type": "lifespan", "asgi": {}}
    sent, seen = call(orders, scope)
    assert sent == [] and seen is scope


def test_another_kind_of_connection_does_not(orders: Authorizer) -> None:
    with pytest.raises(RuntimeError, match="'mqtt'"):
        call(orders, {"type": "mqtt"})


def test_a_closed_authorizer_lets_nothing_through(table: DecisionTable) -> None:
    authorizer = table.authorizer()
    authorizer.close()
    with pytest.raises(RuntimeError, match="closed"):
        call(authorizer, http(table))
