"""Threads, forks, the log, and an issuer that does not answer."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jeton import Authorizer
from servers import ACME
from table import DecisionTable, told


class SilentIssuer:
    """Takes connections, and answers when `answer` is set: with this key set."""

    def __init__(self, jwks: Any) -> None:
        self.asked, self.answer = threading.Event(), threading.Event()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.set()
                issuer.answer.wait(30)
                body = json.dumps(jwks).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        self.answer.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def silent(table: DecisionTable) -> Iterator[SilentIssuer]:
    issuer = SilentIssuer(table.table["jwks"])
    yield issuer
    issuer.stop()


def test_a_hundred_threads_decide_at_once(table: DecisionTable, orders: Authorizer) -> None:
    # what is answered alike however often it is asked
    cases = [case for case in table.cases() if not (case.dpop or case.certificate) and case.service == table.service]
    assert len(cases) > 200
    together = threading.Barrier(100)

    def decide(start: int) -> int:
        together.wait()
        for case in cases[start:] + cases[:start]:
            decision = orders.decide(case.method, case.target, case.authorization)
            assert told(decision) == case.expected, case.name
        return len(cases)

    with ThreadPoolExecutor(100) as pool:
        assert sum(pool.map(decide, range(100))) == 100 * len(cases)


def test_of_a_hundred_threads_one_uses_a_proof(table: DecisionTable, orders: Authorizer) -> None:
    token, proof = f"DPoP {table.token('bound')}", table.proof()
    together = threading.Barrier(100)

    def decide(_: int) -> str:
        together.wait()
        return orders.decide("GET", ACME, token, proof).reason

    with ThreadPoolExecutor(100) as pool:
        reasons = sorted(pool.map(decide, range(100)))
    assert reasons == ["met"] + ["replayed-proof"] * 99


def test_a_decision_that_waits_lets_other_threads_run(table: DecisionTable, silent: SilentIssuer) -> None:
    """A token of `silent` is not needed: its key is unknown, so it is fetched before anything else of it is looked at."""
    authorizer = Authorizer(issuer=silent.url, api="orders", policies=table.policies)
    token = f"Bearer {table.token('reader')}"
    with authorizer, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(authorizer.decide, "GET", ACME, token)
        assert silent.asked.wait(10)
        # this thread runs, and decides
        assert authorizer.decide("GET", "/healthz", None).allowed
        assert not waiting.done()
        silent.answer.set()
        assert waiting.result(20).reason == "invalid-token"


def test_a_decision_that_waits_does_not_stop_the_loop(table: DecisionTable, silent: SilentIssuer) -> None:
    authorizer = Authorizer(issuer=silent.url, api="orders", policies=table.policies)
    token = f"Bearer {table.token('reader')}"

    async def decide() -> None:
        waiting = [asyncio.ensure_future(authorizer.decide_async("GET", ACME, token)) for _ in range(100)]
        cancelled = waiting.pop()
        assert await asyncio.to_thread(silent.asked.wait, 10)
        assert (await authorizer.decide_async("GET", "/healthz", None)).allowed
        assert not any(decision.done() for decision in waiting)
        cancelled.cancel()
        silent.answer.set()
        for decision in await asyncio.wait_for(asyncio.gather(*waiting), 20):
            assert decision.reason == "invalid-token"

    with authorizer:
        asyncio.run(decide())


def test_a_loop_that_ends_before_the_decision_harms_nobody(table: DecisionTable, silent: SilentIssuer) -> None:
    authorizer = Authorizer(issuer=silent.url, api="orders", policies=table.policies)
    token = f"Bearer {table.token('reader')}"

    async def decide() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(authorizer.decide_async("GET", ACME, token), 0.1)

    with authorizer:
        asyncio.run(decide())
        silent.answer.set()
        assert authorizer.decide("GET", ACME, token).reason == "invalid-token"


def in_child(authorizer: Authorizer, token: str, answers: Any) -> None:
    decisions = [authorizer.decide("GET", ACME, token) for _ in range(3)]
    answers.put([decision.allowed for decision in decisions])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_decides(table: DecisionTable, orders: Authorizer) -> None:
    """While other threads of the parent decide: locks that they hold stay locked in the child."""
    token = f"Bearer {table.token('reader')}"
    assert orders.decide("GET", ACME, token).allowed
    forking = multiprocessing.get_context("fork")
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            orders.decide("GET", ACME, token)
            orders.decide("POST", ACME, token)

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            answers = forking.SimpleQueue()
            child = forking.Process(target=in_child, args=(orders, token, answers))
            child.start()
            child.join(20)
            assert child.exitcode == 0, "the child hangs or failed"
            assert answers.get() == [True] * 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert orders.decide("GET", ACME, token).allowed


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_fetches_keys_of_its_own(table: DecisionTable, silent: SilentIssuer) -> None:
    """What runs beside the requests runs in the child too: there a fetch is answered."""
    silent.answer.set()
    authorizer = Authorizer(issuer=silent.url, api="orders", policies=table.policies)
    authorizer.decide("GET", "/healthz", None)
    silent.asked.clear()
    child = os.fork()
    if child == 0:
        decision = authorizer.decide("GET", ACME, f"Bearer {table.token('reader')}")
        os._exit(0 if decision.reason == "invalid-token" else 1)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline, "the child hangs"
        time.sleep(0.02)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert silent.asked.is_set()
    authorizer.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_may_close_what_its_parent_made(table: DecisionTable) -> None:
    authorizer = table.authorizer()
    child = os.fork()
    if child == 0:
        authorizer.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert authorizer.decide("GET", "/healthz", None).allowed
    authorizer.close()


def logged(caplog: pytest.LogCaptureFixture, event: str) -> logging.LogRecord:
    """The record of this event, which comes from another thread."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for record in caplog.records:
            if getattr(record, "event", "") == event:
                return record
        time.sleep(0.01)
    raise AssertionError(f"no {event} in {caplog.text}")


def test_refusals_are_logged(table: DecisionTable, orders: Authorizer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jeton")
    token = table.token("reader")
    orders.decide("POST", f"{ACME}?secret=1", f"Bearer {token}")
    record = logged(caplog, "decision.denied")
    assert (record.name, record.levelno) == ("jeton", logging.INFO)
    fields: dict[str, str] = record.fields  # type: ignore[attr-defined]
    assert fields["reason"] == "not-met"
    assert fields["rule"] == "write-orders"
    assert fields["client"] == "acme-sync"
    assert fields["method"] == "POST"
    assert fields["path"] == ACME
    assert token not in caplog.text and "secret" not in caplog.text


def test_an_issuer_that_is_away_is_logged(table: DecisionTable, caplog: pytest.LogCaptureFixture) -> None:
    with Authorizer(issuer="http://127.0.0.1:9", api="orders", policies=table.policies):
        assert logged(caplog, "jwks.not_fetched").levelno == logging.WARNING


def test_a_handler_of_the_log_may_decide(table: DecisionTable, orders: Authorizer) -> None:
    """And one that waits keeps nobody but its own thread waiting."""
    token = f"Bearer {table.token('reader')}"
    waits, decided = threading.Event(), threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if orders.decide("GET", ACME, token).allowed:
                decided.set()
            waits.wait(30)

        def createLock(self) -> None:
            self.lock = None

    handler, log = Handler(), logging.getLogger("jeton")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(orders.decide, "GET", "/unknown", None)
            assert decided.wait(10)
            assert orders.decide("GET", ACME, token).allowed
            assert not refused.done()
            waits.set()
            assert refused.result(10).status == 401
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
        waits.set()


PROGRAM = """
import os, sys, threading
from jeton import Authorizer
authorizer = Authorizer(issuer=sys.argv[1], api="orders", policies=sys.argv[2])
threading.Thread(target=authorizer.decide, args=("GET", "/tenants/acme/orders", sys.argv[3]), daemon=True).start()
for _ in range(1000):
    authorizer.decide("GET", "/unknown", None)
print("end")
"""


def test_a_program_ends_while_something_waits(table: DecisionTable, silent: SilentIssuer) -> None:
    arguments = [silent.url, str(table.policies), f"Bearer {table.token('reader')}"]
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_an_edit_of_the_policies_is_followed(table: DecisionTable, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    text = (table.policies / "shop.yaml").read_text()
    file = policies / "shop.yaml"
    file.write_text(text)
    token = f"Bearer {table.token('reader')}"
    with Authorizer(
        issuer=table.table["issuer"], api="orders", policies=policies, jwks=table.jwks
    ) as authorizer:
        assert authorizer.decide("GET", ACME, token).allowed
        file.write_text(text.replace("- revoked-token", "- of-acme-sync"))
        deadline = time.monotonic() + 20
        while authorizer.decide("GET", ACME, token).allowed:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # what does not load leaves what was in force
        file.write_text("version: 1\n")
        assert authorizer.decide("GET", ACME, token).reason == "invalid-token"
