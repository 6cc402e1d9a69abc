"""Whether a token is still in force: random tokens shown to a live server, at `/principal` and at introspection; and the
status list of each client, with the place that a new token has in it."""

import base64
import hashlib
import http.client
import json
import os
import random
import sys
import time
import zlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cases import Difference
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from decide import BadToken, Json, decide, named_in, verify
from folders import copied, some, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))

from live import Program, answers, free_port

TOKENS = 100  # for each server
PRINCIPAL = {"routes": ["GET /principal"], "require": {"scope": "jeton:principal"}}
FIRST_MINUTE = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
CLIENTS = ("ann", "bob", "x", "eve", "new")
ASKERS = {"asks-all": True, "asks-a": ["a"], "asks-own": ["jeton"]}


def secret_of(name: str) -> str:
    return f"secret of {name}"


# --- cases: times are seconds before the comparison


def draw(chance: random.Random) -> Json:
    folder: Json = {
        "scopes": {"s:1": ""},
        "roles": {},
        "clients": {},
        "issuers": {},
        "tests": [],
        "apis": {
            name: {
                "audience": f"https://{name}.example.com",
                "rules": {f"{name}0": {"routes": ["GET /x"], "require": {"scope": "s:1"}}},
            }
            for name in ("a", "b")
        },
    }
    if chance.random() < 0.3:
        folder["apis"]["b"]["bound_tokens"] = True
    for name in some(chance, CLIENTS, 2, 4):
        client: Json = {"grants": {"a": {"scopes": ["s:1"]}, "jeton": {"scopes": ["jeton:principal"]}}}
        if chance.random() < 0.25:
            client["enabled"] = False
        if chance.random() < 0.45:
            client["revoked_before"] = chance.choice((7200, 3600, 600, 90, 61, 60, 30, 5, 1, 0, -3600))
        if chance.random() < 0.6:
            client["status_list"] = True
        elif chance.random() < 0.15:
            client["anonymous"] = True
        folder["clients"][name] = client
    for name, apis in ASKERS.items():
        folder["clients"][name] = {"introspect": apis}
    folder["revoked_tokens"] = some(chance, ("j1", "j1.2", "j2", "j3.1.4"))
    return {"folder": folder, "tokens": [draw_token(chance, folder) for _ in range(TOKENS)]}


def draw_token(chance: random.Random, folder: Json) -> Json:
    names = [name for name in folder["clients"] if name not in ASKERS]
    holder = "stranger" if chance.random() < 0.05 else chance.choice(names)
    token: Json = {
        "api": chance.choice(("a", "b", "jeton", "jeton")),
        "age": chance.choice(
            (
                0,
                1,
                2,
                4,
                5,
                6,
                29,
                30,
                31,
                59,
                60,
                61,
                89,
                90,
                91,
                300,
                599,
                600,
                601,
                3599,
                3600,
                3601,
                7199,
                7200,
                7201,
                -10,
                -3600,
            )
        ),
        "scope": "jeton:principal s:1",
        "jti": chance.choice(("j0", "j1", "j1.2", "j1.3", "j1.2.3", "j12", "j2", "j3", "j3.1", "j3.1.4", "j3.1.40", "j")),
    }
    token["left"] = chance.choice((300, 300, 300, 300, 3600, -5, -3600))
    if folder["clients"].get(holder, {}).get("anonymous"):
        return token
    token |= {"sub": holder, "client_id": holder}
    if chance.random() < 0.25:
        actors = [chance.choice(names) for _ in range(chance.choice((1, 2)))]
        token |= {"client_id": actors[0], "exchanges": len(actors), "act": {"sub": actors[0]}}
        if len(actors) > 1:
            token["act"]["act"] = {"sub": actors[1]}
        token["auth_age"] = token["age"] + chance.choice((0, 1, 60, 3600))
    if chance.random() < 0.1:
        token["scope"] = "s:1"
    return token


def at(now: int, folder: Json) -> Json:
    """The folder, with times in the place of seconds."""
    folder = copied(folder)
    for name, client in folder["clients"].items():
        client["secrets"] = [{"sha256": hashlib.sha256(secret_of(name).encode()).hexdigest()}]
        if "revoked_before" in client:
            client["revoked_before"] = datetime.fromtimestamp(now - client["revoked_before"], UTC).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            )
    return folder


# --- the server


class Server:
    """A live one, whose key signs here too."""

    def __init__(self, program: Path, place: Path):
        place.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        settings = {
            "SERVER__LISTEN": f"127.0.0.1:{port}",
            "ISSUER": self.issuer,
            "POLICIES__DIR": str(place / "policies"),
            "KEYS__DIR": str(place / "keys"),
            "KEYS__ALGORITHM": "EdDSA",
            "ADMIN__LISTEN": "",
            "LIMITS__FAILURES": "off",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
        environment |= {f"JETON__{name}": value for name, value in settings.items()}
        self.running = Program(
            [program, "serve"], place / "server.log", lambda: answers(f"{self.issuer}/readyz"), env=environment, cwd=place
        )
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        [file] = (place / "keys").glob("*.pem")
        self.key = load_pem_private_key(file.read_bytes(), None)
        self.keys = json.loads(self.ask("GET", "/.well-known/jwks.json")[1])["keys"]

    def ask(self, method: str, path: str, authorization: str | None = None, **form: str) -> tuple[int, bytes]:
        headers = {"Authorization": authorization} if authorization else {}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, urlencode(form) or None, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def as_client(self, name: str, path: str, **form: str) -> tuple[int, Json]:
        # credentials are form-encoded before base64 (RFC 6749 2.3.1)
        pair = f"{urlencode({'': name})[1:]}:{urlencode({'': secret_of(name)})[1:]}"
        status, body = self.ask("POST", path, f"Basic {base64.b64encode(pair.encode()).decode()}", **form)
        return status, json.loads(body)

    def sign(self, claims: Json) -> str:
        header = {"typ": "at+jwt" if "sub" in claims else "JWT", "alg": "EdDSA", "kid": self.keys[0]["kid"]}
        signed = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
        return f"{signed}.{base64url(self.key.sign(signed.encode()))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- by the model


class Model:
    def __init__(self, folder: Json, server: Server):
        own = {"audience": server.issuer, "rules": {"principal": PRINCIPAL}}
        self.policies = folder | {"apis": folder["apis"] | {"jeton": own}}
        self.server = server

    def audience(self, api: str) -> str:
        return self.policies["apis"][api]["audience"]

    def is_known(self, claims: Json) -> bool:
        """This service refuses tokens of clients that were removed."""
        return all(name in self.policies["clients"] for name in named_in(claims))

    def principal(self, token: str, claims: Json, now: int) -> int:
        answer = decide(
            self.policies, "jeton", self.server.issuer, self.server.keys, now, "GET", "/principal", [f"Bearer {token}"]
        )
        return answer["status"] if self.is_known(claims) else 401

    def is_active(self, token: str, claims: Json, api: str, asker: str, now: int) -> bool:
        may_ask = ASKERS[asker] is True or api in ASKERS[asker]
        # a token ends with its `exp` here, and at an API up to 30 seconds later: the asker knows its own clock
        if (
            claims["exp"] <= now
            or not may_ask
            or not self.is_known(claims)
            or self.policies["apis"][api].get("bound_tokens")
        ):
            return False
        try:
            verify(token, self.server.keys, self.server.issuer, self.audience(api), self.policies, now)
        except BadToken:
            return False
        return True


def seconds_of(client: Json) -> int:
    return int(datetime.fromisoformat(client.get("revoked_before", "2000-01-01T00:00:00Z")).timestamp())


def is_revoked(client: Json, minute: int) -> bool:
    return client.get("enabled") is False or FIRST_MINUTE + minute * 60 < seconds_of(client)


def place_in_list(client: Json, issued: int) -> int:
    minute = (issued - FIRST_MINUTE) // 60
    before = seconds_of(client)
    return -(-(before - FIRST_MINUTE) // 60) if before > FIRST_MINUTE + minute * 60 else minute


# --- the comparison


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    now = int(time.time())
    folder = at(now, case["folder"])
    write(folder, place / "policies")
    try:
        server = Server(program, place)
    except SystemExit as failure:  # it would end a process of the pool, and nobody would hear of it
        raise RuntimeError(failure) from None
    try:
        model = Model(folder, server)
        for token in case["tokens"]:
            compare_token(server, model, token, now, tally)
        for name, client in folder["clients"].items():
            compare_list(server, folder, name, client, tally)
    finally:
        server.connection.close()
        server.running.stop()


def compare_token(server: Server, model: Model, drawn: Json, start: int, tally: Counter[str]) -> None:
    claims = {name: value for name, value in drawn.items() if name not in ("api", "age", "left", "auth_age")}
    claims |= {
        "iss": server.issuer,
        "aud": model.audience(drawn["api"]),
        "iat": start - drawn["age"],
        "exp": start + drawn["left"],
    }
    if "auth_age" in drawn:
        claims["auth_time"] = start - drawn["auth_age"]
    token = server.sign(claims)
    before = int(time.time())
    asked: dict[str, tuple[Any, Any]] = {
        "principal": (lambda now: model.principal(token, claims, now), server.ask("GET", "/principal", f"Bearer {token}")[0])
    }
    for asker in ASKERS:
        status, answer = server.as_client(asker, "/oauth2/introspect", token=token)
        said = answer.get("active") if status == 200 else f"{status} {answer}"
        asked[asker] = (lambda now, asker=asker: model.is_active(token, claims, drawn["api"], asker, now), said)
    moments = (before, int(time.time()) + 1)
    for what, (by_model, said) in asked.items():
        expected = {by_model(now) for now in moments}
        if len(expected) == 2:
            tally["at a border of time"] += 1
        elif said not in expected:
            raise Difference(f"standing at {what}", f"{claims}: {expected} by the model, {said} by jeton")
    if drawn["api"] == "jeton" and (said := asked["principal"][1]) in (200, 403):
        tally["in force"] += 1
    else:
        tally["in force" if asked["asks-all"][1] is True else "revoked"] += 1


def compare_list(server: Server, folder: Json, name: str, client: Json, tally: Counter[str]) -> None:
    handle = base64url(hashlib.sha256(name.encode()).digest()[:16])
    path = f"/status/{handle}"
    issued = None
    if "grants" in client:
        start = int(time.time())
        status, answer = server.as_client(
            name, "/oauth2/token", grant_type="client_credentials", resource="https://a.example.com"
        )
        gets_none = client.get("enabled") is False or seconds_of(client) > start
        at_border = start - 2 < seconds_of(client) <= start + 60
        if not at_border and status != (401 if gets_none else 200):
            raise Difference("new token", f"{name} {client}: {status} {answer}")
        if status == 200:
            issued = json.loads(base64.urlsafe_b64decode(answer["access_token"].split(".")[1] + "=="))
            tally["new tokens"] += 1
            if ("status" in issued) != client.get("status_list", False):
                raise Difference("claim status", f"{name}: {issued}")
    status, body = server.ask("GET", path)
    if status != (200 if client.get("status_list") else 404):
        raise Difference("list", f"{name}: {status}")
    if status == 404:
        return
    tally["status lists"] += 1
    claims = json.loads(base64.urlsafe_b64decode(body.split(b".")[1] + b"=="))
    packed = claims["status_list"]["lst"]
    bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    this_minute = (int(time.time()) - FIRST_MINUTE) // 60
    wrong = [
        minute
        for minute in range(this_minute + 1)
        if minute // 8 >= len(bits) or bool(bits[minute // 8] >> minute % 8 & 1) != is_revoked(client, minute)
    ]
    if wrong:
        raise Difference(
            "bits", f"{name} {client}: {len(wrong)} minutes from {moment_of(wrong[0])} to {moment_of(wrong[-1])}"
        )
    if issued and "status" in issued:
        place = issued["status"]["status_list"]
        if place != {"idx": place_in_list(client, issued["iat"]), "uri": server.issuer + path}:
            raise Difference("place", f"{name} {client}: {issued}")
        if not place["idx"] // 8 < len(bits) or bits[place["idx"] // 8] >> place["idx"] % 8 & 1:
            raise Difference("good token", f"{name} {client}: the list says that {issued} is revoked")


def moment_of(minute: int) -> str:
    return datetime.fromtimestamp(FIRST_MINUTE + minute * 60, UTC).isoformat()
