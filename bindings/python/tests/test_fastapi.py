"""The dependency of `jeton.fastapi` where nobody is to be had."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.requests import HTTPConnection
from jeton import Authorizer
from jeton.fastapi import principal
from servers import ACME
from table import DecisionTable


def test_the_caller_is_the_principal(table: DecisionTable, orders: Authorizer) -> None:
    caller = orders.decide("GET", ACME, f"Bearer {table.token('reader')}").principal
    connection = HTTPConnection({"type": "http", "state": {"principal": caller}})
    assert principal(connection) is caller


@pytest.mark.parametrize(
    ("scope", "status", "headers"),
    [
        # a public route that was asked without a token
        ({"state": {"principal": None}}, 401, {"WWW-Authenticate": "Bearer"}),
        ({"state": {"principal": "forged"}}, 401, {"WWW-Authenticate": "Bearer"}),
        # no Protect before the handler
        ({"state": {}}, 500, None),
        ({}, 500, None),
    ],
)
def test_without_a_caller_the_handler_does_not_run(scope: Any, status: int, headers: Any) -> None:
    with pytest.raises(HTTPException) as raised:
        principal(HTTPConnection({"type": "http", **scope}))
    assert (raised.value.status_code, raised.value.headers) == (status, headers)
