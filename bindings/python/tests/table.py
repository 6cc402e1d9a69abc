"""The table of decisions that everything which decides agrees on: `tests/fixtures/decisions`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from jeton import Authorizer, Decision, Principal
from servers import ROOT

FOLDER = ROOT / "tests/fixtures/decisions"


@dataclass
class Case:
    name: str
    method: str
    target: str
    authorization: list[str]
    expected: dict[str, Any]


class DecisionTable:
    def __init__(self, scratch: Path) -> None:
        self.table = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
        self.policies = FOLDER / self.table["policies"]
        self.jwks = scratch / "jwks.json"
        self.jwks.write_text(json.dumps(self.table["jwks"]))

    def token(self, name: str) -> str:
        token: str = self.table["tokens"][name]
        return token

    def authorizer(self) -> Authorizer:
        return Authorizer(
            issuer=self.table["issuer"], api=self.table["api"], policies=self.policies, jwks=self.jwks
        )

    def cases(self) -> Iterator[Case]:
        for case in self.table["cases"]:
            authorization = [self._filled_in(value) for value in case["authorization"]]
            target = self._filled_in(case["target"])
            yield Case(case["name"], case["method"], target, authorization, case["expected"])

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
