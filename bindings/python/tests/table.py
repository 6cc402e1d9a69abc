"""The table of decisions that everything which decides agrees on: `tests/fixtures/decisions`."""

from __future__ import annotations

import base64
import json
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from jeton import Authorizer, Decision, Principal
from servers import ROOT

FOLDER = ROOT / "tests/fixtures/decisions"
sys.path.append(str(FOLDER))
import make  # noqa: E402
from possession import HOLDERS, Proofs  # noqa: E402


@dataclass
class Case:
    name: str
    method: str
    target: str
    authorization: list[str]
    dpop: list[str]
    certificate: Optional[bytes]
    api: str
    origin: Optional[str]
    expected: dict[str, Any]
    # the second time
    again: dict[str, Any]

    @property
    def service(self) -> tuple[str, Optional[str]]:
        return self.api, self.origin


def proof(tokens: dict[str, str], **said: Any) -> str:
    """Made now, as the proofs of the table are, with this difference; `token` is one of these."""
    made: str = Proofs(tokens, int(time.time()))(**{"jti": secrets.token_hex()} | said)
    return made


class DecisionTable:
    def __init__(self, scratch: Path) -> None:
        self.table = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
        self.policies = FOLDER / self.table["policies"]
        self.jwks = scratch / "jwks.json"
        self.jwks.write_text(json.dumps(self.table["jwks"]))

    @property
    def service(self) -> tuple[str, Optional[str]]:
        return self.table["api"], self.table["origin"]

    def token(self, name: str) -> str:
        token: str = self.table["tokens"][name]
        return token

    def certificate(self, name: str) -> bytes:
        return base64.b64decode(self.table["certificates"][name])

    def key_of_certificates(self) -> bytes:
        """In PEM."""
        pem: bytes = HOLDERS["ed25519"].pem()
        return pem

    def proof(self, **said: Any) -> str:
        """Made now, as the proofs of the table are, with this difference."""
        return proof(self.table["tokens"], **said)

    def authorizer(self, **other: Any) -> Authorizer:
        options = {name: self.table[name] for name in ("issuer", "api", "origin")}
        return Authorizer(**options | {"policies": self.policies, "jwks": self.jwks} | other)

    def services(self) -> dict[tuple[str, Optional[str]], Authorizer]:
        """One for each that the table asks."""
        asked = {case.service for case in self.cases()}
        return {(api, origin): self.authorizer(api=api, origin=origin) for api, origin in asked}

    def cases(self) -> Iterator[Case]:
        # proofs are good for some seconds, by the clock of the machine
        made = make.table(int(time.time()))
        for case in made["cases"] + made["possession"]:
            expected, shown = case["expected"], case.get("certificate")
            yield Case(
                case["name"],
                case["method"],
                self._filled_in(case["target"]),
                [self._filled_in(value) for value in case["authorization"]],
                case.get("dpop", []),
                self.certificate(shown) if shown else None,
                case.get("api", self.table["api"]),
                case.get("origin", self.table["origin"]),
                expected,
                case.get("again", expected),
            )

    def _filled_in(self, text: str) -> str:
        for name, token in self.table["tokens"].items():
            text = text.replace(f"{{{name}}}", token)
        return text


def shown(principal: Optional[Principal]) -> Optional[dict[str, Any]]:
    if principal is None:
        return None
    return {
        "client": principal.client,
        "subject": principal.subject,
        "scopes": principal.scopes,
        "roles": principal.roles,
        "claims": principal.claims,
        "token_id": principal.token_id,
        "expires_at": principal.expires_at,
    }


def told(decision: Decision) -> dict[str, Any]:
    return {
        "allowed": decision.allowed,
        "status": decision.status,
        "reason": decision.reason,
        "rule": decision.rule,
        "challenge": decision.headers.get("WWW-Authenticate"),
        "principal": shown(decision.principal),
    }
