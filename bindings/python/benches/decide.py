"""What a warm decision costs, called from Python, against a call that does nothing.

    python benches/decide.py            with --quick: that it runs

Prints the medians of many rounds in microseconds. `above nothing` is the difference to `nothing`. Budget: 5 us.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

from jeton import Authorizer

FIXTURE = Path(__file__).resolve().parents[3] / "tests/fixtures/decisions"
ROUNDS, CALLS = (2 if "--quick" in sys.argv else 200), 1_000
TARGET = "/tenants/acme/orders/42?page=2"


def nothing(method: str, target: str, authorization: str) -> None:
    """A call with the same arguments."""


def each(call: Callable[..., Any], *arguments: str) -> float:
    """The median of the microseconds of one call."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            call(*arguments)
        rounds.append((time.perf_counter() - began) / CALLS * 1e6)
    return statistics.median(rounds)


async def awaited(authorizer: Authorizer, method: str, target: str, authorization: str) -> float:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            await authorizer.decide_async(method, target, authorization)
        rounds.append((time.perf_counter() - began) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    table = json.loads((FIXTURE / "cases.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        jwks = Path(scratch) / "jwks.json"
        jwks.write_text(json.dumps(table["jwks"]))
        policies = FIXTURE / table["policies"]
        authorizer = Authorizer(issuer=table["issuer"], api=table["api"], policies=policies, jwks=jwks)
    token = f"Bearer {table['tokens']['reader']}"
    assert authorizer.decide("GET", TARGET, token).allowed
    base = each(nothing, "GET", TARGET, token)
    print(f"{'nothing':<24}{base:8.3f}")
    for name, cost in [
        ("allowed", each(authorizer.decide, "GET", TARGET, token)),
        ("refused", each(authorizer.decide, "POST", TARGET, token)),
        ("public", each(authorizer.decide, "GET", "/healthz", "")),
        ("allowed, awaited", asyncio.run(awaited(authorizer, "GET", TARGET, token))),
    ]:
        print(f"{name:<24}{cost:8.3f}   above nothing {cost - base:8.3f}")
    authorizer.close()


if __name__ == "__main__":
    main()
