"""The middlewares of examples/go-service and examples/java-service, which ask jeton as the kind `service`: the attacks on
gateways, jeton away, and connections that stay open. Behind each stands tests/interop/services, which passes on what a
handler is told."""

import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gateway_attacks
import stolen_tokens
from gateway_wire import Echo, ask, request
from gateways import ROOT, check, is_tight, need
from live import checks, connects, free_port

HANDLERS = ROOT / "tests/interop/services"


def go(folder):
    folder.mkdir()
    for file in (ROOT / "examples/go-service/authz.go", HANDLERS / "echo.go"):
        shutil.copy(file, folder)
    environment = os.environ | {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
    build = ["go", "build", "-o", "echo", "authz.go", "echo.go"]
    subprocess.run(build, cwd=folder, env=environment, check=True, timeout=300)
    # the example itself must build too
    subprocess.run(
        ["go", "build", "-o", folder / "orders", "."], cwd=ROOT / "examples/go-service",
        env=environment | {"GO111MODULE": "on"}, check=True, timeout=300,
    )
    return [folder / "echo"], [folder / "orders"]


def java(folder):
    folder.mkdir()
    sources = [*sorted((ROOT / "examples/java-service").glob("*.java")), HANDLERS / "Echo.java"]
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", folder, *sources], check=True, timeout=300)
    return ["java", "-cp", folder, "Echo"], ["java", "-cp", folder, "Orders"]


LANGUAGES = {"go": go, "java": java}


class Service:
    """A service with one of the middlewares."""

    def __init__(self, site, name, command, authz=None, upstream=None, **settings):
        self.name, self.port, self.upstream = name, free_port(), upstream or free_port()
        environment = site.environment(
            PORT=str(self.port), AUTHZ=authz or f"{site.base}/authz/service", UPSTREAM=f"127.0.0.1:{self.upstream}",
            **settings,
        )
        site.start(command, f"{name}-{self.port}", lambda: connects(self.port), env=environment, cwd="/")

    def ask(self, **of):
        return ask(self.port, request(**of))


class Elsewhere:
    """Stands where jeton should, and answers something else. It counts connections."""

    def __init__(self, mode):
        self.connections, self.asked, self.release = 0, 0, threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                outer.connections += 1

            def do_GET(self):
                outer.asked += 1
                if mode == "never":
                    outer.release.wait(30)
                    self.close_connection = True
                elif mode == "cut":
                    self.close_connection = True
                else:
                    self.send_response(mode)
                    for name, value in {"Content-Length": "2", "Location": "/yes", "X-Auth-Client": "acme-sync"}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/authz/service"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def fails_closed(site, name, command):
    """Whatever is no clear answer of jeton is 503, in time, and the handler is not called."""
    for mode in [204, 206, 301, 302, 404, 421, 429, 500, 503, "cut", "never"]:
        elsewhere = Elsewhere(mode)
        service = Service(site, name, command, elsewhere.url)
        echo = Echo(service.upstream)
        began = time.monotonic()
        status = service.ask(target="/healthz").status
        took = time.monotonic() - began
        echo.close()
        elsewhere.close()
        checks.holds(f"{name}: where jeton answers {mode} the answer is 503", status == 503 and not echo.seen, (status, echo.seen))
        checks.holds(f"{name}: and in time", took < 10, took)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}/authz/service"
        service = Service(site, name, command, closed)
        status = service.ask(target="/healthz").status
        checks.holds(f"{name}: where nobody listens it is 503", status == 503, status)


def keeps_connections(site, name, command):
    elsewhere = Elsewhere(200)
    service = Service(site, name, command, elsewhere.url)
    echo = Echo(service.upstream)
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    for _ in range(50):
        client.request("GET", "/healthz")
        answer = client.getresponse()
        answer.read()
        checks.holds(f"{name}: a request passes", answer.status == 200, answer.status)
    client.close()
    echo.close()
    elsewhere.close()
    checks.holds(
        f"{name}: {elsewhere.asked} questions took {elsewhere.connections} connection", elsewhere.connections == 1
    )


def example(site, name, command):
    """The service of the guide itself."""
    service, token = Service(site, f"{name}-orders", command), site.token()

    def shown(target, token=None, method="GET"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
        client.request(method, target, headers=headers)
        answer = client.getresponse()
        body = answer.read().decode()
        client.close()
        return answer.status, answer.getheader("WWW-Authenticate"), answer.getheader("Content-Type"), body

    own = shown("/tenants/acme/orders", token)
    checks.holds(f"{name}: the example knows who asks", own[0] == 200 and '"read_by":"acme-sync"' in own[3], own)
    other = shown("/tenants/globex/orders", token)
    challenge = 'Bearer error="insufficient_scope", error_description="the access token does not allow this"'
    checks.holds(f"{name}: a refusal has jeton's challenge", other[:2] == (403, challenge), other)
    checks.holds(f"{name}: and its body", other[2].startswith("application/problem+json") and '"reference"' in other[3], other)
    lacks = shown("/tenants/acme/orders/42/refund", token, "POST")
    checks.holds(f"{name}: a missing scope is named", lacks[:2] == (403, 'Bearer error="insufficient_scope", scope="orders:refund"'), lacks)
    checks.holds(f"{name}: no token is 401", shown("/tenants/acme/orders")[:2] == (401, "Bearer"))
    checks.holds(f"{name}: what is public needs none", shown("/healthz")[0] == 200)
    override = ask(service.port, request(target="/tenants/acme/orders", token=token, headers=["X-HTTP-Method-Override: DELETE"]))
    checks.holds(f"{name}: a header does not change the method", override.status == 403, override.status)


def run(site):
    need("go", "javac", "java")
    site.serve()
    token = site.token()
    for name, build in LANGUAGES.items():
        command, orders = build(site.folder / name)
        service = Service(site, name, command)
        is_tight(name, check(site, "service", service.port, service.upstream))
        echo = Echo(service.upstream)
        sent, arrived, found = gateway_attacks.run(service.port, echo, token)
        echo.close()
        text = f"{name}: of {sent} attacks and samples {arrived} reached the handler, all as the policies allow"
        checks.holds(text, not found and sent > 150 and arrived > 20, found)
        example(site, name, orders)
        stolen_tokens.proofs(site, name, Service(site, f"{name}-proofs", orders))
        stolen_tokens.certificates(site, name, partial(Service, site, f"{name}-secured", command))
        fails_closed(site, name, command)
        keeps_connections(site, name, command)
