"""The principal as an argument of a handler of FastAPI.

    @app.get("/orders")
    async def orders(caller: Caller) -> list[Order]: ...
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection

from ._jeton import Principal

__all__ = ["Caller", "principal"]

log = logging.getLogger("jeton")


def principal(connection: HTTPConnection) -> Principal:
    """Who calls: `Depends(principal)`. Without `Protect` before the handler it answers 500, and on a public route that was
    asked without a token 401."""
    state = connection.scope.get("state") or {}
    if "principal" not in state:
        log.error("protect.missing no jeton.asgi.Protect stands before this handler", extra={"event": "protect.missing"})
        raise HTTPException(500, "something failed on our side")
    caller = state["principal"]
    if not isinstance(caller, Principal):
        raise HTTPException(401, "this needs an access token", {"WWW-Authenticate": "Bearer"})
    return caller


Caller = Annotated[Principal, Depends(principal)]
