"""The orders API in Flask."""

import os
from typing import Any

from authorizer import authorizer
from flask import Flask, request
from jeton.wsgi import Protect

app = Flask(__name__)
app.wsgi_app = Protect(app.wsgi_app, authorizer)  # type: ignore[method-assign]


@app.get("/healthz")
def health() -> dict[str, Any]:
    return {"process": os.getpid(), "caller": request.environ["jeton.principal"] is not None}


@app.get("/tenants/<tenant>/orders")
def list_orders(tenant: str) -> dict[str, Any]:
    caller = request.environ["jeton.principal"]
    return {"tenant": tenant, "read_by": caller.client, "scopes": caller.scopes, "process": os.getpid()}


@app.post("/tenants/<tenant>/orders/<order>/refund")
def refund(tenant: str, order: str) -> dict[str, Any]:
    return {"tenant": tenant, "refunded": order, "by": request.environ["jeton.principal"].client}
