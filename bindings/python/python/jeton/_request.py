"""What both kinds of servers tell of a request: the path as it was sent, and the path by which the application routes."""

from __future__ import annotations

import json
import logging
import ssl
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

log = logging.getLogger("jeton")

PROBLEM = "application/problem+json"


class UnreadableRequest(Exception):
    """The server does not tell something as it was sent, so nobody can judge it. The message names what helps."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR

    def problem(self) -> bytes:
        """Logs it; the body for the caller."""
        log.error("request.unreadable %s", self, extra={"event": "request.unreadable", "fields": {}})
        body = {
            "detail": str(self),
            "status": self.status.value,
            "title": self.status.phrase,
            "type": "about:blank",
        }
        return json.dumps(body).encode()


def mount_point(path: str) -> str:
    """The argument `mounted_at`, if it is one."""
    if path and (not path.startswith("/") or path.endswith("/")):
        raise ValueError(f"mounted_at={path!r} must begin with a slash and not end with one, such as '/api'")
    return path


def check_mount_point(mounted_at: str, told: object, name: str) -> None:
    """The application cuts from the path what the server tells it to, and a header could tell that to the server.

    Raises:
        UnreadableRequest: That is something else than the application's author said.
    """
    if told != mounted_at:
        raise UnreadableRequest(
            f"the application is told by `{name}` to cut {told!r} from the path: if that is where you mounted it, "
            f"say Protect(..., mounted_at={told!r}); else find out who sets it"
        )


def below(mounted_at: str, path: str) -> str:
    """The rest of a path behind the place at which the application is mounted, as frameworks cut it."""
    if mounted_at and path.startswith(mounted_at) and path[len(mounted_at) :][:1] in ("", "/"):
        return path[len(mounted_at) :]
    return path


def to_der(pem: object, name: str) -> bytes:
    """A certificate that the server tells in PEM.

    Raises:
        UnreadableRequest: It is no such text.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(pem)  # type: ignore[arg-type]
    except (TypeError, ValueError, AttributeError) as error:
        raise UnreadableRequest(
            f"the server tells a certificate of the client in `{name}` that is not PEM: let it write PEM there, or nothing"
        ) from error


def check_routed(sent: str, routed: bytes) -> None:
    """The application must route by the path that was judged.

    Raises:
        UnreadableRequest: It routes by another one.
    """
    if unquote_to_bytes(sent.encode("latin-1", "replace")) != routed:
        raise UnreadableRequest(
            "the application would route by another path than the one that was sent: let nothing before Protect "
            "rewrite the path, no middleware and no proxy that passes on a decoded one"
        )
