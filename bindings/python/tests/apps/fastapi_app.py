"""The orders API in FastAPI."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Optional

from authorizer import authorizer
from fastapi import FastAPI, Request, WebSocket
from jeton.asgi import Protect
from jeton.fastapi import Caller


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"of": "lifespan"}


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.add_middleware(Protect, authorizer=authorizer)


@app.get("/healthz")
async def health(request: Request) -> dict[str, Any]:
    caller: Optional[object] = request.state.principal
    return {"process": os.getpid(), "caller": caller is not None, "of": request.state.of}


@app.get("/tenants/{tenant}/orders")
async def list_orders(tenant: str, caller: Caller) -> dict[str, Any]:
    return {"tenant": tenant, "read_by": caller.client, "scopes": caller.scopes, "process": os.getpid()}


@app.post("/tenants/{tenant}/orders/{order}/refund")
def refund(tenant: str, order: str, caller: Caller) -> dict[str, Any]:
    return {"tenant": tenant, "refunded": order, "by": caller.client}


@app.websocket("/tenants/{tenant}/orders")
async def follow(websocket: WebSocket, tenant: str, caller: Caller) -> None:
    await websocket.accept()
    await websocket.send_json({"tenant": tenant, "read_by": caller.client})
    await websocket.close()


# whose author forgot the guard
unprotected = FastAPI(openapi_url=None)


@unprotected.get("/healthz")
async def unprotected_health() -> dict[str, str]:
    return {}


@unprotected.get("/tenants/{tenant}/orders")
async def unprotected_orders(tenant: str, caller: Caller) -> dict[str, Any]:
    return {"tenant": tenant, "read_by": caller.client}
