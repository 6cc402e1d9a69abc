"""An authorizer by the issuer's address alone: the bundle, its end, what is kept, and who may have it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jeton import Authorizer
from servers import ACME, ORDERS, ROOT, Issuer, free_port
from table import proof
from test_processes import logged

MORE_IS_PUBLIC = ("orders.yaml", "- GET /healthz\n", "- GET /healthz\n          - GET /livez\n")
TLS = ROOT / "tests/fixtures/tls"


@pytest.fixture
def own(program: Path, tmp_path: Path) -> Iterator[Issuer]:
    """An issuer that a test may stop, with policies that it may edit."""
    issuer = Issuer(program, tmp_path, JETON__POLICIES__BUNDLE_TTL="1s")
    yield issuer
    issuer.stop()


def soon(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def test_an_issuer_is_enough(issuer: Issuer) -> None:
    with Authorizer(issuer=issuer.url, api="orders") as authorizer:
        decision = authorizer.decide("GET", ACME, f"Bearer {issuer.token('acme-sync')}")
        assert (decision.allowed, decision.rule) == (True, "read-orders")
        assert authorizer.decide("GET", ACME, None).status == 401
        assert authorizer.decide("GET", "/healthz", None).allowed


def test_an_edit_is_in_force_soon_and_outlives_the_issuer(own: Issuer) -> None:
    token = f"Bearer {own.token('acme-sync')}"
    with Authorizer(issuer=own.url, api="orders") as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
        assert not authorizer.decide("GET", "/livez", None).allowed
        own.edit(*MORE_IS_PUBLIC)
        soon(lambda: authorizer.decide("GET", "/livez", None).allowed)
        own.stop()
        assert authorizer.decide("GET", "/livez", None).allowed
        assert authorizer.decide("GET", ACME, token).allowed


def test_a_bound_token_is_taken_by_the_bundle(own: Issuer) -> None:
    def fetch(by: str = "holder") -> str:
        asked = proof({}, by=by, token=None, htm="POST", htu=f"{own.url}/oauth2/token")
        return own.token("acme-sync", dpop=asked)

    with Authorizer(issuer=own.url, api="orders", origin=ORDERS) as authorizer:
        bound, unbound = fetch(), own.token("acme-sync")
        shown = proof({"bound": bound})
        assert authorizer.decide("GET", ACME, f"DPoP {bound}", shown).allowed
        assert authorizer.decide("GET", ACME, f"DPoP {bound}", shown).reason == "replayed-proof"
        assert authorizer.decide("GET", ACME, f"Bearer {bound}", proof({"bound": bound})).reason == "not-held"
        stolen = fetch("thief")
        assert authorizer.decide("GET", ACME, f"DPoP {stolen}", proof({"bound": stolen})).reason == "not-held"
        assert authorizer.decide("GET", ACME, f"Bearer {unbound}").allowed
        # the bundle says that the API takes no other tokens
        audience = f"    audience: {ORDERS}\n"
        own.edit("orders.yaml", audience, f"{audience}    bound_tokens: true\n")
        soon(lambda: authorizer.decide("GET", ACME, f"Bearer {unbound}").reason == "not-bound")
        assert authorizer.decide("GET", ACME, f"DPoP {bound}", proof({"bound": bound})).allowed


def in_child(authorizer: Authorizer, token: str, go_on: Any, answers: Any) -> None:
    answers.put(authorizer.decide("GET", ACME, token).allowed)
    go_on.wait(20)
    soon(lambda: authorizer.decide("GET", "/livez", None).allowed)
    answers.put(True)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_follows_the_issuer_by_itself(own: Issuer) -> None:
    token = f"Bearer {own.token('acme-sync')}"
    forking = multiprocessing.get_context("fork")
    go_on, answers = forking.Event(), forking.SimpleQueue()
    with Authorizer(issuer=own.url, api="orders") as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
        child = forking.Process(target=in_child, args=(authorizer, token, go_on, answers))
        child.start()
    assert answers.get() is True, "the parent's end is not the child's"
    own.edit(*MORE_IS_PUBLIC)
    go_on.set()
    child.join(30)
    assert child.exitcode == 0 and answers.get() is True


def test_an_issuer_that_is_away_is_said_and_waited_for(program: Path, tmp_path: Path) -> None:
    own = Issuer(program, tmp_path)
    token = f"Bearer {own.token('acme-sync')}"
    own.stop()
    with Authorizer(issuer=own.url, api="orders") as authorizer:
        decision = authorizer.decide("GET", ACME, token)
        assert (decision.status, decision.reason, decision.principal) == (503, "no-policies", None)
        assert int(decision.headers["Retry-After"]) > 0
        assert authorizer.decide("GET", "/healthz", None).status == 503
        own.start()
        soon(lambda: authorizer.decide("GET", ACME, token).allowed, 40)
    own.stop()


def test_a_start_goes_on_from_what_was_kept(own: Issuer, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    token = f"Bearer {own.token('acme-sync')}"
    with Authorizer(issuer=own.url, api="orders", keep=keep) as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
        assert keep.stat().st_mode & 0o777 == 0o700
        soon(lambda: len(list(keep.iterdir())) >= 2)
    own.stop()
    with Authorizer(issuer=own.url, api="orders", keep=keep) as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
        assert authorizer.decide("POST", f"{ACME}/42/refund", token).status == 403
    os.chmod(keep, 0o777)
    with pytest.raises(OSError, match="chmod 700"):
        Authorizer(issuer=own.url, api="orders", keep=keep)


def for_clients(own: Issuer) -> None:
    own.edit("orders.yaml", "bundle: public", "bundle: clients")
    own.edit(
        "clients.yaml",
        "roles: [order-agent]\n      jeton:\n        scopes: [jeton:principal]\n",
        "roles: [order-agent]\n      jeton:\n        scopes: [jeton:principal, jeton:policies]\n",
    )


def test_a_bundle_for_clients_needs_credentials(
    program: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Issuer(program, tmp_path, start=False)
    for_clients(own)
    own.start()
    token = f"Bearer {own.token('acme-sync')}"
    secret = tmp_path / "secret"
    secret.write_text("demo-secret-of-acme-sync\n")

    def give() -> str:
        return own.token("acme-sync", own.url)

    right: list[Any] = [("acme-sync", secret), ("acme-sync", str(secret)), give]
    for credentials in right:
        with Authorizer(issuer=own.url, api="orders", credentials=credentials) as authorizer:
            assert authorizer.decide("GET", ACME, token).allowed, credentials

    def fail() -> str:
        raise KeyError("no vault")

    wrong: list[Any] = [(None, "bundle"), (("acme-sync", tmp_path / "absent"), "acme-sync"), (fail, "no vault")]
    for credentials, words in wrong:
        caplog.clear()
        with Authorizer(issuer=own.url, api="orders", credentials=credentials) as authorizer:
            assert authorizer.decide("GET", ACME, token).status == 503
            assert words in logged(caplog, "bundle.not_fetched").getMessage()
    own.stop()


@pytest.mark.parametrize("credentials", ["acme-sync", ("acme-sync",), ("acme-sync", 7), 7, ("a", "b", "c")])
def test_wrong_credentials_are_said(issuer: Issuer, credentials: Any) -> None:
    with pytest.raises(TypeError, match="credentials are a client id"):
        Authorizer(issuer=issuer.url, api="orders", credentials=credentials)


def test_an_issuer_by_https_is_trusted_by_its_authority(program: Path, tmp_path: Path) -> None:
    own = Issuer(
        program,
        tmp_path,
        scheme="https",
        JETON__SERVER__TLS__CERT_FILE=str(TLS / "server.pem"),
        JETON__SERVER__TLS__KEY_FILE=str(TLS / "test-only-key.pem"),
    )
    token = f"Bearer {own.token('acme-sync')}"
    with Authorizer(issuer=own.url, api="orders", ca_file=TLS / "ca.pem") as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
    with Authorizer(issuer=own.url, api="orders") as authorizer:
        assert authorizer.decide("GET", ACME, token).status == 503
    with pytest.raises(OSError, match="absent"):
        Authorizer(issuer=own.url, api="orders", ca_file=tmp_path / "absent.pem")
    own.stop()


def test_an_issuer_must_be_https_elsewhere() -> None:
    with pytest.raises(ValueError, match="https"):
        Authorizer(issuer="http://tokens.example.com", api="orders")


def test_many_authorizers_come_and_go(issuer: Issuer) -> None:
    """Each ends what it follows."""
    for _ in range(20):
        Authorizer(issuer=issuer.url, api="orders").close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        Authorizer(issuer=f"http://127.0.0.1:{free_port()}", api="orders")
    soon(lambda: len(os.listdir("/proc/self/fd")) <= before + 5)
    assert len(os.listdir("/proc/self/task")) < 20
