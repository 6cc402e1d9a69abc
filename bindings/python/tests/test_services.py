"""Real applications on real servers: FastAPI on uvicorn, Flask on gunicorn, Django on both."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers import ACME, APPS, GLOBEX, Issuer, Service, bearer

UVICORN = ["uvicorn", "--port", "PORT", "--no-access-log", "--log-level", "warning"]
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "warning", "--no-control-socket"]
SERVICES = {
    "FastAPI, uvicorn, 2 workers": [*UVICORN, "--workers", "2", "fastapi_app:app"],
    "FastAPI, uvicorn, h11": [*UVICORN, "--http", "h11", "--loop", "asyncio", "fastapi_app:app"],
    "FastAPI, hypercorn": ["hypercorn", "--bind", "127.0.0.1:PORT", "fastapi_app:app"],
    "Flask, gunicorn, 2 workers": [*GUNICORN, "--workers", "2", "flask_app:app"],
    "Flask, gunicorn, made before the fork": [*GUNICORN, "--workers", "2", "--preload", "flask_app:app"],
    "Flask, gunicorn, 8 threads": [*GUNICORN, "--preload", "--threads", "8", "flask_app:app"],
    "Flask, waitress": ["waitress-serve", "--listen", "127.0.0.1:PORT", "flask_app:app"],
    "Flask, its own server": ["flask", "--app", "flask_app", "run", "--port", "PORT"],
    "Django, gunicorn": [*GUNICORN, "--workers", "2", "--preload", "django_app:wsgi"],
    "Django, uvicorn": [*UVICORN, "--lifespan", "off", "--workers", "2", "django_app:asgi"],
}


@pytest.fixture(scope="session", params=SERVICES, ids=list(SERVICES))
def service(request: pytest.FixtureRequest, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    started = Service(SERVICES[request.param], folder, ISSUER=issuer.url)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def token(issuer: Issuer) -> str:
    return issuer.token("acme-sync")


def test_the_first_token_is_taken(service: Service, token: str) -> None:
    """Whichever process takes it: each fetches the keys."""
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: service.get(ACME, token), range(64)))
    assert {answer.status for answer in answers} == {200}, service.process.log.read_text()
    assert answers[0].json()["tenant"] == "acme"
    assert answers[0].json()["read_by"] == "acme-sync"
    assert answers[0].json()["scopes"] == ["orders:read", "orders:write"]


def test_public_routes_need_no_token(service: Service, token: str) -> None:
    assert service.get("/healthz").json()["caller"] is False
    assert service.get("/healthz", token).json()["caller"] is True


def test_what_is_not_allowed_is_refused(service: Service, token: str) -> None:
    denied = 'Bearer error="insufficient_scope", error_description="the access token does not allow this"'
    invalid = 'Bearer error="invalid_token", error_description="the access token is not valid here"'
    for method, target, headers, status, challenge in [
        ("GET", ACME, [], 401, "Bearer"),
        ("GET", "/unknown", [], 401, "Bearer"),
        ("GET", "/unknown", bearer(token), 403, denied),
        ("GET", GLOBEX, bearer(token), 403, denied),
        ("POST", f"{ACME}/42/refund", bearer(token), 403, 'Bearer error="insufficient_scope", scope="orders:refund"'),
        ("GET", ACME, bearer(token[:-4]), 401, invalid),
        ("GET", ACME, bearer("x"), 401, invalid),
    ]:
        answer = service.ask(method, target, headers)
        seen = (answer.status, answer.headers.get("www-authenticate"), answer.headers.get("content-type"))
        assert seen == (status, challenge, "application/problem+json"), target
        assert answer.json()["status"] == status
        assert answer.headers["cache-control"] == "no-store"
    head = service.ask("HEAD", ACME)
    assert (head.status, head.body) == (401, b"")


def test_paths_that_servers_read_differently_are_refused(service: Service, token: str) -> None:
    for target in [
        "/tenants/acme%2Forders",
        "/tenants/globex/../acme/orders",
        "/tenants/globex/%2e%2e/acme/orders",
        "/tenants//acme/orders",
        "/tenants/acme;x/orders",
        "/tenants/acme/orders%3Fx",
        "/tenants/%ff/orders",
        "/tenants/acme/orders%00",
        "/healthz/../tenants/acme/orders",
        "/healthz/%2e%2e/tenants/globex/orders",
    ]:
        answer = service.ask("GET", target, bearer(token))
        assert 400 <= answer.status < 500, (target, answer)
    # the server of the standard library, and so Flask's own, makes one slash of two before anybody sees them
    assert service.get("//tenants/globex/orders", token).status == 403
    assert service.get("/tenants/%61cme/orders", token).status == 200
    assert service.get(f"{ACME}?page=2&path=%2F..", token).status == 200


def test_unclear_tokens_are_refused(service: Service, token: str) -> None:
    for headers in [
        bearer(token) + bearer(token),
        [("Authorization", b"Bearer \xff\xfe")],
        [("Authorization", "Bearer caf\u00e9".encode())],
        [("Authorization", b"Bearer")],
    ]:
        answer = service.ask("GET", "/healthz", headers)
        assert answer.status == 400, (headers, answer)
    # joined with a comma by servers of WSGI, and no token has one
    two = service.ask("GET", "/healthz", [*bearer(token), ("Authorization", b"Basic eDp5")])
    assert two.status in (400, 401)
    assert service.get(f"/healthz?access_token={token}").status == 400
    # nobody puts a principal into the environ or the scope by a header
    assert service.ask("GET", "/healthz", [("jeton.principal", b"x"), ("Jeton-Principal", b"x")]).json()["caller"] is False


def test_a_handler_without_a_guard_answers_500(issuer: Issuer, tmp_path: Path, token: str) -> None:
    service = Service([*UVICORN, "fastapi_app:unprotected"], tmp_path, ISSUER=issuer.url)
    answer = service.get(ACME, token)
    service.stop()
    assert answer.status == 500
    assert "protect.missing" in service.process.log.read_text()


def test_a_websocket_is_guarded(issuer: Issuer, tmp_path: Path, token: str) -> None:
    service = Service([*UVICORN, "fastapi_app:app"], tmp_path, ISSUER=issuer.url)
    key = base64.b64encode(b"0123456789abcdef")
    upgrade = [("Upgrade", b"websocket"), ("Sec-WebSocket-Version", b"13"), ("Sec-WebSocket-Key", key)]

    def ask(target: str, *more: tuple[str, bytes]) -> bytes:
        lines = [f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n".encode()]
        lines += [name.encode() + b": " + value + b"\r\n" for name, value in [*upgrade, *more]]
        with socket.create_connection(("127.0.0.1", service.port), 20) as connection:
            connection.sendall(b"".join(lines) + b"\r\n")
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
                if b"read_by" in answer:
                    break
            return answer

    allowed = ask(ACME, *bearer(token))
    assert allowed.startswith(b"HTTP/1.1 101 ") and b'"read_by":"acme-sync"' in allowed
    assert ask(ACME).startswith(b"HTTP/1.1 401 ")
    assert ask(GLOBEX, *bearer(token)).startswith(b"HTTP/1.1 403 ")
    service.stop()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([*UVICORN, "--root-path", "/api", "fastapi_app:app"], "mounted_at='/api'"),
        (["python", str(APPS / "wsgiref_server.py"), "PORT"], "RAW_URI"),
    ],
    ids=["a root path", "no target"],
)
def test_a_server_that_hides_the_path_is_named(
    issuer: Issuer, tmp_path: Path, token: str, command: list[str], words: str
) -> None:
    class Refusing(Service):
        def is_up(self) -> bool:
            try:
                return self.ask("GET", "/healthz").status == 500
            except OSError:
                return False

    service = Refusing(command, tmp_path, ISSUER=issuer.url)
    answer = service.get(ACME, token)
    service.stop()
    assert answer.status == 500
    assert words in json.loads(answer.body)["detail"]
    assert words in service.process.log.read_text()
