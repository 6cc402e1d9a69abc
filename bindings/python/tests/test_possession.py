"""Tokens that only their holder can use, on real servers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from servers import ACME, ORDERS, ROOT, Service
from table import DecisionTable

TLS = ROOT / "tests/fixtures/tls"
GUNICORN = ["gunicorn", "--bind", "127.0.0.1:PORT", "--log-level", "warning", "--no-control-socket"]
SERVICES = {
    "FastAPI, uvicorn": ["uvicorn", "--port", "PORT", "--log-level", "warning", "fastapi_app:app"],
    "FastAPI, uvicorn, h11": ["uvicorn", "--port", "PORT", "--log-level", "warning", "--http", "h11", "fastapi_app:app"],
    "FastAPI, hypercorn": ["hypercorn", "--bind", "127.0.0.1:PORT", "fastapi_app:app"],
    "Flask, gunicorn": [*GUNICORN, "flask_app:app"],
    "Flask, gunicorn, 8 threads": [*GUNICORN, "--threads", "8", "flask_app:app"],
    "Flask, waitress": ["waitress-serve", "--listen", "127.0.0.1:PORT", "flask_app:app"],
    "Flask, its own server": ["flask", "--app", "flask_app", "run", "--port", "PORT"],
    "Django, gunicorn": [*GUNICORN, "--preload", "django_app:wsgi"],
    "Django, uvicorn": ["uvicorn", "--port", "PORT", "--log-level", "warning", "--lifespan", "off", "django_app:asgi"],
}


def of_table(table: DecisionTable) -> dict[str, str]:
    return {"POLICIES": str(table.policies), "JWKS": str(table.jwks)}


@pytest.mark.parametrize("command", SERVICES.values(), ids=list(SERVICES))
def test_a_stolen_token_is_refused(table: DecisionTable, tmp_path: Path, command: list[str]) -> None:
    service = Service(command, tmp_path, context=None, **of_table(table))
    token = table.token("bound")

    def ask(*dpop: str, scheme: str = "DPoP", names: str = "DPoP", token: str = token) -> int:
        headers = [("Authorization", f"{scheme} {token}".encode()), *((names, value.encode()) for value in dpop)]
        return service.ask("GET", f"{ACME}?page=2", headers).status

    proof = table.proof()
    assert ask(proof) == 200, service.process.log.read_text()
    assert ask(proof) == 401, "it was used"
    assert ask(table.proof(), names="dpop") == 200
    assert ask() == 401
    assert ask(scheme="Bearer") == 401
    assert ask(table.proof(), scheme="Bearer") == 401
    assert ask(table.proof(), table.proof()) == 401, "two headers"
    assert ask(proof, table.proof()) == 401
    assert ask(f"{table.proof()},{table.proof()}") == 401
    assert ask(table.proof(by="thief")) == 401
    assert ask(table.proof(htm="POST")) == 401
    assert ask(table.proof(htu=f"{ORDERS}{ACME}/42")) == 401
    assert ask(table.proof(htu=f"http://127.0.0.1:{service.port}{ACME}")) == 401
    assert ask(table.proof(token="reader")) == 401
    assert ask(table.proof(token="reader"), token=table.token("reader")) == 401, "it is not bound"
    assert ask(scheme="Bearer", token=table.token("reader")) == 200
    service.stop()


@pytest.fixture
def certificates(table: DecisionTable, tmp_path: Path) -> Path:
    """A folder with the certificates of the table, and their key."""
    for name in ("holder", "renewed"):
        (tmp_path / f"{name}.pem").write_text(ssl.DER_cert_to_PEM_cert(table.certificate(name)))
    (tmp_path / "key.pem").write_bytes(table.key_of_certificates())
    both = [(tmp_path / f"{name}.pem").read_text() for name in ("holder", "renewed")]
    (tmp_path / "trusted.pem").write_text("".join(both))
    return tmp_path


@pytest.fixture(params=["sync", "gthread"])
def secured(request: pytest.FixtureRequest, table: DecisionTable, certificates: Path) -> Iterator[Service]:
    """Flask on gunicorn with TLS, which asks for certificates and does not insist."""
    command = [
        *GUNICORN, "--certfile", str(TLS / "server.pem"), "--keyfile", str(TLS / "test-only-key.pem"),
        "--ca-certs", str(certificates / "trusted.pem"), "--cert-reqs", str(int(ssl.CERT_OPTIONAL)),
        "--worker-class", request.param, "flask_app:app",
    ]  # fmt: skip
    service = Service(command, certificates, context=context(certificates, None), **of_table(table))
    yield service
    service.stop()


def context(folder: Path, certificate: Optional[str]) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
    if certificate:
        made.load_cert_chain(folder / f"{certificate}.pem", folder / "key.pem")
    return made


def test_gunicorn_tells_the_certificate(table: DecisionTable, certificates: Path, secured: Service) -> None:
    headers = [("Authorization", f"Bearer {table.token('certified')}".encode())]
    pem = "".join((certificates / "holder.pem").read_text().splitlines()).encode()
    forged = [(name, pem) for name in ("SSL_CLIENT_CERT", "SSL-Client-Cert", "X-SSL-Client-Cert", "Client-Cert")]
    for shown, more, status in [
        ("holder", [], 200),
        ("renewed", [], 401),
        (None, [], 401),
        (None, forged, 401),
        ("renewed", forged, 401),
    ]:
        secured.context = context(certificates, shown)
        answer = secured.ask("GET", ACME, headers + more)
        assert answer.status == status, (shown, answer, secured.process.log.read_text())
