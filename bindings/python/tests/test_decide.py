"""`Authorizer`: what it decides, and what it refuses to be made of."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import jeton
import pytest
from jeton import Authorizer, Decision, Principal
from servers import ACME, ORDERS
from table import Case, DecisionTable, told


def asked(case: Case) -> tuple[Any, ...]:
    return case.method, case.target, case.authorization, case.dpop, case.certificate


def test_python_decides_as_the_table_has_it(table: DecisionTable) -> None:
    services = table.services()
    cases = list(table.cases())
    for case in cases:
        decision = services[case.service].decide(*asked(case))
        assert told(decision) == case.expected, case.name
    # by what is remembered of tokens and proofs
    for case in cases:
        decision = services[case.service].decide(*asked(case))
        assert told(decision) == case.again, f"{case.name}, again"
    assert len(cases) > 400


def test_coroutines_decide_as_the_table_has_it(table: DecisionTable) -> None:
    services = table.services()

    async def decide() -> None:
        for case in table.cases():
            decision = await services[case.service].decide_async(*asked(case))
            assert told(decision) == case.expected, case.name

    asyncio.run(decide())


def test_a_request_is_text_or_bytes(table: DecisionTable, orders: Authorizer) -> None:
    token = f"Bearer {table.token('reader')}"
    for method, target, authorization in [
        ("GET", ACME, token),
        (b"GET", ACME.encode(), token.encode()),
        ("GET", ACME, [token]),
        ("GET", ACME, (token.encode(),)),
    ]:
        assert orders.decide(method, target, authorization).allowed  # type: ignore[arg-type]
    assert orders.decide("GET", "/healthz", None).allowed
    assert orders.decide("GET", "/healthz", []).allowed
    assert orders.decide("GET", ACME, token, dpop="anything").allowed


@pytest.mark.parametrize(
    "authorization",
    [b"Bearer \xff\xfe", b"Bearer x\xc3\xa9", "Bearer \xe9", "Bearer \u20ac", "Bearer \udcff", b"\x00", "Bearer x\r\n"],
)
def test_a_header_that_is_no_ascii_is_refused(orders: Authorizer, authorization: Any) -> None:
    decision = orders.decide("GET", "/healthz", authorization)
    assert (decision.status, decision.reason) == (400, "invalid-request")


@pytest.mark.parametrize("target", [b"/docs/\xff", "/docs/\udcff", "/docs/\u20ac", b"/docs/\xc3\xa9"])
def test_a_target_that_is_no_ascii_is_refused(orders: Authorizer, target: Any) -> None:
    decision = orders.decide("GET", target, None)
    assert (decision.status, decision.reason) == (401, "bad-path")


@pytest.mark.parametrize(
    "arguments",
    [
        (None, ACME, None),
        ("GET", None, None),
        ("GET", 7, None),
        ("GET", ACME, 7),
        ("GET", ACME, {"Authorization": "Bearer x"}),
        ("GET", ACME, [None]),
        ("GET", ACME, None, 7),
        ("GET", ACME, None, None, 7),
        ("GET", ACME, None, None, "text"),
        ("GET", ACME, None, None, [b"0"]),
        ("GET", ACME, None, None, None, "/api"),
        ("GET", ACME),
    ],
)
def test_what_is_no_request_is_a_type_error(orders: Authorizer, arguments: Any) -> None:
    with pytest.raises(TypeError):
        orders.decide(*arguments)


def test_a_proof_is_text_or_bytes_and_good_once(table: DecisionTable, orders: Authorizer) -> None:
    token = f"DPoP {table.token('bound')}"
    proofs: list[Any] = [(proof := table.proof()), table.proof().encode(), [table.proof()], (table.proof().encode(),)]
    for shown in proofs:
        assert orders.decide("GET", ACME, token, shown).allowed
        assert not orders.decide("GET", ACME, token, dpop=shown).allowed
    # for the same service, and not for another one
    assert not orders.decide("GET", ACME, token, proof).allowed
    with table.authorizer() as another:
        assert another.decide("GET", ACME, token, proof).allowed


@pytest.mark.parametrize("dpop", [b"\xff", "\udcff", b"\x00", "", [], None, "x.y.z", "\xe9"])
def test_what_is_no_proof_is_refused(table: DecisionTable, orders: Authorizer, dpop: Any) -> None:
    decision = orders.decide("GET", ACME, f"DPoP {table.token('bound')}", dpop)
    assert decision.status == 401
    assert decision.headers["WWW-Authenticate"].startswith("DPoP ")


def test_a_proof_names_the_path_before_it_was_cut(table: DecisionTable, orders: Authorizer) -> None:
    token = f"DPoP {table.token('bound')}"
    for htu, mounted_at, is_allowed in [
        (f"{ORDERS}/api{ACME}", "/api", True),
        (f"{ORDERS}{ACME}", "/api", False),
        (f"{ORDERS}/v2{ACME}", "/api", False),
        (f"{ORDERS}/api{ACME}", "", False),
        (f"{ORDERS}{ACME}", "", True),
    ]:
        decision = orders.decide("GET", f"{ACME}?page=2", token, table.proof(htu=htu), mounted_at=mounted_at)
        assert decision.allowed == is_allowed, (htu, mounted_at)


def test_a_certificate_is_der(table: DecisionTable, orders: Authorizer) -> None:
    token, der = f"Bearer {table.token('certified')}", table.certificate("holder")
    assert orders.decide("GET", ACME, token, certificate=der).allowed
    assert not orders.decide("GET", ACME, token, certificate=der + b"0").allowed
    for wrong in (ssl.DER_cert_to_PEM_cert(der).encode(), b""):
        with pytest.raises(ValueError, match="DER"):
            orders.decide("GET", ACME, token, certificate=wrong)


def test_a_refusal_is_false(table: DecisionTable, orders: Authorizer) -> None:
    token = f"Bearer {table.token('reader')}"
    assert orders.decide("GET", ACME, token)
    assert not orders.decide("POST", ACME, token)


def test_a_refusal_has_a_body_and_headers(table: DecisionTable, orders: Authorizer) -> None:
    decision = orders.decide("POST", ACME, f"Bearer {table.token('reader')}")
    assert decision.headers == {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="orders:write"'}
    assert decision.detail == "the access token does not allow this"
    assert json.loads(decision.problem("r1")) == {
        "type": "about:blank", "title": "Forbidden", "status": 403, "detail": decision.detail, "reference": "r1",
    }  # fmt: skip
    assert "reference" not in json.loads(decision.problem())


def test_nobody_makes_a_principal_or_a_decision(table: DecisionTable, orders: Authorizer) -> None:
    for kind in (Principal, Decision):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            type("Mine", (kind,), {})
    decision = orders.decide("GET", ACME, f"Bearer {table.token('reader')}")
    caller = decision.principal
    assert caller is not None
    for thing, name in [(decision, "allowed"), (decision, "principal"), (caller, "scopes"), (caller, "extra")]:
        with pytest.raises(AttributeError):
            setattr(thing, name, None)
    caller.scopes.append("orders:write")
    caller.claims["tenant"] = "globex"
    assert (caller.scopes, caller.claims) == (["orders:read"], {"tenant": "acme"})


def test_nothing_shows_the_token(table: DecisionTable, orders: Authorizer) -> None:
    token = table.token("reader")
    decision = orders.decide("GET", ACME, f"Bearer {token}")
    shown = f"{orders!r} {decision!r} {decision.principal!r}"
    assert shown == (
        "<Authorizer of orders by https://tokens.example.com> <Decision allowed by rule read-orders: met, 200> "
        "<Principal acme-sync>"
    )


def test_a_closed_authorizer_decides_nothing(table: DecisionTable) -> None:
    with table.authorizer() as authorizer:
        assert authorizer.decide("GET", "/healthz", None).allowed
    with pytest.raises(RuntimeError, match="closed"):
        authorizer.decide("GET", "/healthz", None)
    authorizer.close()

    async def decide() -> None:
        await authorizer.decide_async("GET", "/healthz", None)

    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(decide())


def test_wrong_arguments_are_said(table: DecisionTable, tmp_path: Path) -> None:
    good: dict[str, Any] = {
        "issuer": table.table["issuer"], "api": "orders", "policies": table.policies, "jwks": table.jwks,
    }  # fmt: skip
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.yaml").write_text("version: 1\nscope: {}\n")
    page = tmp_path / "page.json"
    page.write_text("<html>")
    rows: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"issuer": "tokens.example.com"}, ValueError, "tokens.example.com"),
        ({"api": "Orders!"}, ValueError, "Orders!"),
        ({"api": "stock"}, ValueError, "stock"),
        ({"policies": broken}, ValueError, "a.yaml:2"),
        ({"policies": tmp_path / "absent"}, ValueError, "absent"),
        ({"jwks": page}, ValueError, "page.json"),
        ({"jwks": tmp_path / "absent.json"}, OSError, "absent.json"),
        ({"leeway": -1}, ValueError, "leeway=-1"),
        ({"origin": "orders.example.com"}, ValueError, "orders.example.com"),
        ({"origin": "https://orders.example.com/api"}, ValueError, "https://orders.example.com/api"),
        ({"origin": 7}, TypeError, "origin"),
        ({"leeway": "30"}, TypeError, "leeway|integer"),
        ({"issuer": None}, TypeError, "issuer"),
        ({"unknown": 1}, TypeError, "unknown"),
    ]
    for wrong, kind, words in rows:
        with pytest.raises(kind, match=words):
            Authorizer(**good | wrong)
    with pytest.raises(TypeError):
        Authorizer("https://tokens.example.com", "orders")  # type: ignore[call-arg]


def test_the_package_is_typed() -> None:
    assert jeton.__file__
    assert (Path(jeton.__file__).parent / "py.typed").is_file()
