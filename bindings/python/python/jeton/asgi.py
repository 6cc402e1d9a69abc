"""Protects an application of ASGI: FastAPI, Starlette, Django, Litestar, Quart."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, MutableMapping
from typing import Any, Callable, Optional

from ._jeton import Authorizer, Principal
from ._request import PROBLEM, UnreadableRequest, below, check_mount_point, check_routed, mount_point, to_der

__all__ = ["Protect"]

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class Protect:
    """Lets through what the policies allow, HTTP and WebSockets, and answers the rest in the place of the application.

    The principal is `scope["state"]["principal"]`, in Starlette and FastAPI `request.state.principal`; `None` on a public
    route that was asked without a token.

    The path is judged as it was sent, so the server must tell it: `raw_path`. A request without it is refused, and so is
    one that the application would route by another path. The client's certificate is taken from the TLS extension of
    ASGI, if the server has it.

    Args:
        app: The application.
        authorizer: Decides.
        mounted_at: The `root_path` of the application, such as `/api`. It is cut from the path before that is judged.
    """

    def __init__(self, app: _App, authorizer: Authorizer, *, mounted_at: str = "") -> None:
        self._app = app
        self._authorizer = authorizer
        self._mounted_at = mount_point(mounted_at)

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            return await self._app(scope, receive, send)
        if kind == "http":
            refuse, method = _refuse, scope["method"]
        elif kind == "websocket":
            refuse, method = _refuse_websocket, "GET"  # its handshake (RFC 6455 section 4.1)
        else:
            raise RuntimeError(f"Protect cannot judge what is no HTTP request and no WebSocket: {kind!r}")
        try:
            path, routed = self._paths(scope)
            query = scope.get("query_string") or b""
            target = path.encode("latin-1") + b"?" + query if query else path.encode("latin-1")
            headers = scope["headers"]
            decision = await self._authorizer.decide_async(
                method,
                target,
                _values(headers, b"authorization"),
                _values(headers, b"dpop"),
                _certificate(scope),
                mounted_at=self._mounted_at,
            )
            if decision.allowed:
                check_routed(path, routed)
        except UnreadableRequest as unreadable:
            return await refuse(scope, receive, send, unreadable.status, {}, unreadable.problem())
        if not decision.allowed:
            body = decision.problem().encode()
            return await refuse(scope, receive, send, decision.status, decision.headers, body)
        await self._app(_with_principal(scope, decision.principal), receive, send)

    def _paths(self, scope: _Scope) -> tuple[str, bytes]:
        """The path that is judged, and the one by which the application routes."""
        raw_path = scope.get("raw_path")
        if not isinstance(raw_path, bytes):
            raise UnreadableRequest(
                "the server does not tell the path as it was sent: use one that sets `raw_path` in the ASGI scope, such "
                "as uvicorn, hypercorn, daphne or granian"
            )
        check_mount_point(self._mounted_at, scope.get("root_path") or "", "root_path")
        # some put the query behind it
        sent, _, _ = raw_path.decode("latin-1").partition("?")
        routed = below(self._mounted_at, scope["path"])
        return below(self._mounted_at, sent), routed.encode("utf-8", "replace")


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for header, value in headers if header.lower() == name]


def _certificate(scope: _Scope) -> Optional[bytes]:
    """What the client showed to a server that has TLS (the TLS extension of ASGI)."""
    tls = (scope.get("extensions") or {}).get("tls") or {}
    chain = list(tls.get("client_cert_chain") or ())
    # with an error it did not hold for the server
    return to_der(chain[0], "client_cert_chain") if chain and not tls.get("client_cert_error") else None


def _with_principal(scope: _Scope, principal: Optional[Principal]) -> _Scope:
    # copies: a server could have one state for all requests
    return {**scope, "state": {**(scope.get("state") or {}), "principal": principal}}


def _head(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    more = {
        "Content-Type": PROBLEM,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**headers, **more}.items()]
    return {"status": status, "headers": lines}


async def _refuse(
    scope: _Scope, receive: _Receive, send: _Send, status: int, headers: dict[str, str], body: bytes
) -> None:
    await send({"type": "http.response.start", **_head(status, headers, body)})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _refuse_websocket(
    scope: _Scope, receive: _Receive, send: _Send, status: int, headers: dict[str, str], body: bytes
) -> None:
    await receive()  # `websocket.connect`
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", **_head(status, headers, body)})
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        await send({"type": "websocket.close", "code": 1008})  # the server answers the handshake with 403
