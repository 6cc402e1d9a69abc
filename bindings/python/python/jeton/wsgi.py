"""Protects an application of WSGI: Flask, Django, Pyramid, Bottle."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Callable, Optional

from ._jeton import Authorizer
from ._request import PROBLEM, UnreadableRequest, below, check_mount_point, check_routed, mount_point, to_der

__all__ = ["Protect"]

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]
_App = Callable[[_Environ, _StartResponse], Iterable[bytes]]


class Protect:
    """Lets through what the policies allow, and answers the rest in the place of the application.

    The principal is `environ["jeton.principal"]`, in Flask `request.environ["jeton.principal"]`; `None` on a public route
    that was asked without a token.

    WSGI itself has only a decoded path. The path is judged as it was sent, so the server must tell it: `RAW_URI` (gunicorn)
    or `REQUEST_URI` (uWSGI, mod_wsgi, Werkzeug). A request without it is refused, and so is one that the application
    would route by another path.

    The client's certificate is taken from `gunicorn.socket` and `SSL_CLIENT_CERT` (mod_wsgi, Werkzeug), unless
    `SSL_CLIENT_VERIFY` says that it did not hold. Clients cannot set them: each header of theirs begins with `HTTP_`.

    Args:
        app: The application.
        authorizer: Decides.
        mounted_at: The `SCRIPT_NAME` of the application, such as `/api`. It is cut from the path before that is judged.
    """

    def __init__(self, app: _App, authorizer: Authorizer, *, mounted_at: str = "") -> None:
        self._app = app
        self._authorizer = authorizer
        self._mounted_at = mount_point(mounted_at)

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        try:
            path, query = self._target(environ)
            decision = self._authorizer.decide(
                environ["REQUEST_METHOD"],
                path + query,
                environ.get("HTTP_AUTHORIZATION"),
                environ.get("HTTP_DPOP"),
                _certificate(environ),
                mounted_at=self._mounted_at,
            )
            if decision.allowed:
                check_routed(path, environ.get("PATH_INFO", "").encode("latin-1", "replace"))
        except UnreadableRequest as unreadable:
            return _refuse(environ, start_response, unreadable.status, {}, unreadable.problem())
        if not decision.allowed:
            body = decision.problem().encode()
            return _refuse(environ, start_response, decision.status, decision.headers, body)
        environ["jeton.principal"] = decision.principal
        return self._app(environ, start_response)

    def _target(self, environ: _Environ) -> tuple[str, str]:
        """The path that is judged, and the query with its `?`."""
        sent = {name: environ[name] for name in ("RAW_URI", "REQUEST_URI") if name in environ}
        if not sent:
            raise UnreadableRequest(
                "the server does not tell the path as it was sent: use one that sets `RAW_URI` or `REQUEST_URI` in the "
                "WSGI environ, such as gunicorn, uWSGI or mod_wsgi"
            )
        if len(set(sent.values())) > 1:
            raise UnreadableRequest("`RAW_URI` and `REQUEST_URI` differ: let nothing before Protect set one of them")
        check_mount_point(self._mounted_at, environ.get("SCRIPT_NAME", ""), "SCRIPT_NAME")
        path, mark, query = next(iter(sent.values())).partition("?")
        return below(self._mounted_at, path), mark + query


def _certificate(environ: _Environ) -> Optional[bytes]:
    """What the client showed to a server that has TLS."""
    # what failed did not hold for the server; with `GENEROUS`, no authority was asked for
    if environ.get("SSL_CLIENT_VERIFY", "SUCCESS") not in ("SUCCESS", "GENEROUS"):
        return None
    pem = environ.get("SSL_CLIENT_CERT")
    if pem:
        return to_der(pem, "SSL_CLIENT_CERT")
    shown: Optional[Callable[..., Optional[bytes]]] = getattr(environ.get("gunicorn.socket"), "getpeercert", None)
    return shown(binary_form=True) if shown else None


def _refuse(
    environ: _Environ, start_response: _StartResponse, status: int, headers: dict[str, str], body: bytes
) -> Iterable[bytes]:
    more = {
        "Content-Type": PROBLEM,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    start_response(f"{int(status)} {HTTPStatus(status).phrase}", list({**headers, **more}.items()))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
