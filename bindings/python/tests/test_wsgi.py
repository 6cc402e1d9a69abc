"""`jeton.wsgi.Protect` without a server: environs as servers make them, and as they should not."""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any, Optional
from urllib.parse import unquote_to_bytes

import pytest
from jeton import Authorizer, Principal
from jeton.wsgi import Protect
from servers import ACME, ORDERS
from table import DecisionTable

Environ = dict[str, Any]


def request(table: DecisionTable, target: str = ACME, token: Optional[str] = "reader", **more: Any) -> Environ:
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": "GET", "RAW_URI": target, "SCRIPT_NAME": "", "QUERY_STRING": query,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
    }  # fmt: skip
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {table.token(token)}"
    environ |= more
    return {name: value for name, value in environ.items() if value is not None}


def call(
    authorizer: Authorizer, environ: Environ, **options: Any
) -> tuple[str, dict[str, str], bytes, Optional[Environ]]:
    """Status, headers and body of the answer, and the environ that the application saw."""
    seen: list[Environ] = []
    started: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("204 No Content", [])
        return []

    answer = Protect(app, authorizer, **options)(environ, lambda *started_with: started.extend(started_with))
    status, headers = started
    return status, dict(headers), b"".join(answer), seen[0] if seen else None


def test_the_principal_is_in_the_environ(table: DecisionTable, orders: Authorizer) -> None:
    status, _, _, seen = call(orders, request(table))
    assert status == "204 No Content" and seen is not None
    assert isinstance(seen["jeton.principal"], Principal)
    assert seen["jeton.principal"].client == "acme-sync"
    _, _, _, seen = call(orders, request(table, "/healthz", None, **{"jeton.principal": "forged"}))
    assert seen is not None and seen["jeton.principal"] is None


def test_refusals_do_not_reach_the_application(table: DecisionTable, orders: Authorizer) -> None:
    status, headers, body, seen = call(orders, request(table, token=None))
    assert (status, seen) == ("401 Unauthorized", None)
    assert headers == {
        "WWW-Authenticate": "Bearer",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    assert json.loads(body)["detail"] == "this needs an access token"
    status, headers, body, seen = call(orders, request(table, token=None, REQUEST_METHOD="HEAD"))
    assert (status, body, seen) == ("401 Unauthorized", b"", None)


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_each_name_of_the_target_will_do(table: DecisionTable, orders: Authorizer, name: str) -> None:
    target = "/tenants/%61cme/orders?page=2"
    status, _, _, _ = call(orders, request(table, target, RAW_URI=None) | {name: target})
    assert status == "204 No Content"


def test_a_bound_token_needs_its_proof(table: DecisionTable, orders: Authorizer) -> None:
    token = f"DPoP {table.token('bound')}"

    def ask(dpop: Optional[str], **more: Any) -> str:
        environ = request(table, HTTP_AUTHORIZATION=token, HTTP_DPOP=dpop, **more)
        status, headers, _, seen = call(orders, environ)
        assert (seen is None) == headers.get("WWW-Authenticate", "").startswith("DPoP algs=")
        return status

    proof = table.proof()
    assert ask(proof) == "204 No Content"
    assert ask(proof) == "401 Unauthorized", "it was used"
    assert ask(None) == "401 Unauthorized"
    # as servers join two headers
    assert ask(f"{table.proof()},{table.proof()}") == "401 Unauthorized"
    assert ask(f"{table.proof()}, {table.proof()}") == "401 Unauthorized"
    hosts = {"HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "evil.example", "SERVER_NAME": "evil.example"}
    assert ask(table.proof(htu=f"https://evil.example{ACME}"), **hosts) == "401 Unauthorized"
    assert ask(table.proof(), **hosts) == "204 No Content"


def test_a_proof_names_the_place_at_which_the_application_is(table: DecisionTable, orders: Authorizer) -> None:
    for target in (f"/api{ACME}", ACME):
        for htu, status in [(f"{ORDERS}/api{ACME}", 204), (f"{ORDERS}{ACME}", 401)]:
            shown = {"HTTP_AUTHORIZATION": f"DPoP {table.token('bound')}", "HTTP_DPOP": table.proof(htu=htu)}
            environ = request(table, target, SCRIPT_NAME="/api", PATH_INFO=ACME, **shown)
            answered, _, _, _ = call(orders, environ, mounted_at="/api")
            assert int(answered[:3]) == status, (target, htu)


class Socket:
    """As gunicorn hands it over."""

    def __init__(self, der: Optional[bytes]) -> None:
        self.der = der

    def getpeercert(self, binary_form: bool = False) -> Optional[bytes]:
        assert binary_form
        return self.der


def test_a_certificate_is_that_of_the_connection(table: DecisionTable, orders: Authorizer) -> None:
    own, renewed = (table.certificate(name) for name in ("holder", "renewed"))
    shown = {"SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(own)}
    rows: list[tuple[dict[str, Any], int]] = [
        (shown, 204),
        ({"gunicorn.socket": Socket(own)}, 204),
        ({"SSL_CLIENT_CERT": "", "gunicorn.socket": Socket(own)}, 204),
        ({"SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(renewed)}, 401),
        ({"SSL_CLIENT_CERT": ""}, 401),
        ({**shown, "SSL_CLIENT_VERIFY": "SUCCESS"}, 204),
        # no authority was asked for
        ({**shown, "SSL_CLIENT_VERIFY": "GENEROUS"}, 204),
        # as with an error of the TLS extension of ASGI
        ({**shown, "SSL_CLIENT_VERIFY": "FAILED:certificate has expired"}, 401),
        ({**shown, "SSL_CLIENT_VERIFY": "FAILED"}, 401),
        ({**shown, "SSL_CLIENT_VERIFY": "NONE"}, 401),
        ({**shown, "SSL_CLIENT_VERIFY": ""}, 401),
        ({"SSL_CLIENT_VERIFY": "FAILED:x", "gunicorn.socket": Socket(own)}, 401),
        ({"SSL_CLIENT_CERT": "no certificate", "SSL_CLIENT_VERIFY": "FAILED:x"}, 401),
        # of a header
        ({**shown, "HTTP_SSL_CLIENT_VERIFY": "FAILED:x"}, 204),
        ({"gunicorn.socket": Socket(renewed)}, 401),
        ({"gunicorn.socket": Socket(None)}, 401),
        # without TLS
        ({"gunicorn.socket": object()}, 401),
        ({}, 401),
        ({"SSL_CLIENT_CERT": "no certificate"}, 500),
        ({"SSL_CLIENT_CERT": own.decode("latin-1")}, 500),
        # of headers
        ({"HTTP_SSL_CLIENT_CERT": ssl.DER_cert_to_PEM_cert(own)}, 401),
        ({"HTTP_CLIENT_CERT": f":{base64.b64encode(own).decode()}:"}, 401),
        ({"HTTP_GUNICORN.SOCKET": Socket(own)}, 401),
    ]
    for environ, status in rows:
        answered, _, _, seen = call(orders, request(table, token="certified", **environ))
        assert (int(answered[:3]), seen is not None) == (status, status == 204), environ


@pytest.mark.parametrize(
    "header", ["Bearer {reader},Bearer {reader}", "Bearer {reader}, Basic x, bearer {reader}", "Bearer x\xe9", "Bearer"]
)
def test_unclear_headers_are_refused(table: DecisionTable, orders: Authorizer, header: str) -> None:
    header = header.replace("{reader}", table.token("reader"))
    status, _, _, seen = call(orders, request(table, "/healthz", HTTP_AUTHORIZATION=header))
    assert (status, seen) == ("400 Bad Request", None)


@pytest.mark.parametrize(
    ("environ", "status", "words"),
    [
        # what the server does not tell
        ({"RAW_URI": None}, 500, "RAW_URI"),
        ({"REQUEST_URI": "/healthz"}, 500, "differ"),
        # what it or a middleware decoded or rewrote
        ({"RAW_URI": "/healthz"}, 500, "rewrite the path"),
        ({"PATH_INFO": "/tenants/globex/orders"}, 500, "rewrite the path"),
        ({"PATH_INFO": f"{ACME}/"}, 500, "rewrite the path"),
        ({"PATH_INFO": ""}, 500, "rewrite the path"),
        ({"RAW_URI": "/tenants/%61cme/orders", "PATH_INFO": "/tenants/%61cme/orders"}, 500, "rewrite the path"),
        # what the policies refuse anyway
        ({"RAW_URI": "/tenants/acme%2Forders"}, 403, "does not allow"),
        ({"RAW_URI": "/tenants/\xff/orders", "PATH_INFO": "/tenants/\xff/orders"}, 403, "does not allow"),
        ({"RAW_URI": "//tenants/acme/orders"}, 403, "does not allow"),
        ({"RAW_URI": f"http://127.0.0.1{ACME}"}, 403, "does not allow"),
        ({"RAW_URI": "*"}, 403, "does not allow"),
        ({"REQUEST_METHOD": "get"}, 403, "does not allow"),
        # what the application would cut off
        ({"SCRIPT_NAME": "/tenants", "PATH_INFO": "/acme/orders"}, 500, "mounted_at='/tenants'"),
    ],
)
def test_what_nobody_can_judge_is_refused(
    table: DecisionTable, orders: Authorizer, environ: Any, status: int, words: str
) -> None:
    answered, _, body, seen = call(orders, request(table, **environ))
    assert (int(answered[:3]), seen) == (status, None)
    assert words in json.loads(body)["detail"]


@pytest.mark.parametrize(
    ("target", "script_name", "path_info", "status"),
    [
        (f"/api{ACME}", "/api", ACME, 204),
        (ACME, "/api", ACME, 204),
        (f"/api{ACME}", "/api", f"/api{ACME}", 500),
        ("/api/tenants/globex/orders", "/api", "/tenants/globex/orders", 403),
        (f"/apis{ACME}", "/api", f"s{ACME}", 403),
        (f"/api{ACME}", "", f"/api{ACME}", 500),
    ],
)
def test_an_application_is_mounted_where_its_author_says(
    table: DecisionTable, orders: Authorizer, target: str, script_name: str, path_info: str, status: int
) -> None:
    environ = request(table, target, SCRIPT_NAME=script_name, PATH_INFO=path_info)
    answered, _, _, seen = call(orders, environ, mounted_at="/api")
    assert (int(answered[:3]), seen is not None) == (status, status == 204)
