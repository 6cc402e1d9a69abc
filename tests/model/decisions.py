"""Random requests with random tokens, decided by the model and by `jeton policies replay`.

Each line of the log says the opposite of the model's verdict. So each must be found to differ, and the report has what
`jeton` answers: the rule and the reason too. What the model answers stands in the line, and comes back beside it.
"""

import json
import os
import random
import subprocess
from collections import Counter
from pathlib import Path

from asking import draw_request, draw_token
from cases import Difference
from decide import ALLOWS, Json, judge, named_in, others_in, why_ended
from folders import draw_folder, write

ISSUER = "https://tokens.example.com"
BY_MODEL = "by the model: "  # in the place of a reason: some reasons would keep a line from being judged
# the claims of a token that stand in a line by themselves
TOLD = ("client_id", "sub", "jti", "iat", "auth_time", "exchanges", "act", "scope", "roles", "aud")


# how many requests one folder is asked
QUESTIONS = 200


def draw(chance: random.Random) -> Json:
    folder = draw_folder(chance)
    asked = []
    while len(asked) < QUESTIONS:
        name = chance.choice(list(folder["apis"]))
        token = draw_token(chance, folder)
        if token is not None:
            token["aud"] = [folder["apis"][name]["audience"]]
            if chance.random() < 0.01:
                token["aud"] = ["https://elsewhere.example.com"]
        bound = chance.random() < 0.7
        for _ in range(chance.choice((1, 2, 3))):
            method, path = draw_request(chance, folder["apis"][name], token)
            asked.append({"api": name, "token": token, "bound": bound, "method": method, "path": path})
    return {"folder": folder, "asked": asked[:QUESTIONS]}


def verdict(folder: Json, question: Json) -> tuple[str, str | None]:
    """The reason and the rule, as for tokens that a log line tells of."""
    api, token = folder["apis"][question["api"]], question["token"]
    if token is not None:
        if api["audience"] not in token["aud"] or why_ended(token, folder["clients"], folder["revoked_tokens"]):
            return "invalid-token", None
        # replay refuses clients that are not there, if any are
        if folder["clients"] and any(name not in folder["clients"] for name in named_in(token)):
            return "invalid-token", None
        if api.get("bound_tokens") and not question["bound"]:
            return "not-bound", None
    reason, rule, _ = judge(api.get("rules") or {}, token, question["method"], question["path"].partition("?")[0])
    return reason, rule


def line(number: int, question: Json, reason: str, rule: str | None) -> str:
    told = {
        "time": "2026-12-01T12:00:00Z",
        "id": str(number),
        "api": question["api"],
        "method": question["method"],
        "path": question["path"],
        "allowed": reason not in ALLOWS,
        "reason": BY_MODEL + reason,
    }
    if rule is not None:
        told["rule"] = rule
    if (token := question["token"]) is not None:
        told |= {
            "jti": token["jti"],
            "issued_at": token["iat"],
            "bound": question["bound"],
            "audience": token["aud"],
            "scopes": token["scope"].split(),
            "roles": token.get("roles", []),
            "claims": {name: value for name, value in token.items() if name not in TOLD},
        }
        if "client_id" in token or "sub" in token:
            told["client"] = token["client_id"]
            if token["sub"] != token["client_id"]:
                told["subject"] = token["sub"]
        if "exchanges" in token:
            told |= {"authenticated_at": token["auth_time"], "exchanged": True}
            told["earlier_actors"] = others_in(token)[1:]
    return json.dumps(told)


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    folder, asked = case["folder"], case["asked"]
    write(folder, place)
    verdicts = [verdict(folder, question) for question in asked]
    log = place.with_suffix(".jsonl")
    log.write_text(
        "".join(
            line(number, question, *said) + "\n" for number, (question, said) in enumerate(zip(asked, verdicts, strict=True))
        ),
        encoding="utf-8",
    )
    command = [program, "policies", "replay", log, "--against", place, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"JETON__ISSUER": ISSUER})
    faults = [line for line in done.stderr.splitlines() if ": error: " in line]
    if faults and all(fault.endswith("[dead-rule]") for fault in faults):
        # nothing is decided by such a folder: `guarantees` compares which rules are dead
        return
    if done.returncode not in (0, 3):
        raise Difference("output", f"exit code {done.returncode}: {done.stderr}")
    report = json.loads(done.stdout)
    tally.update(reason for reason, _ in verdicts)
    for group in report["differences"]:
        before, after = group["before"], group["after"]
        if (before["reason"], before["rule"]) != (BY_MODEL + after["reason"], after["rule"]):
            request = asked[group["first"]["line"] - 1]
            raise Difference(
                "answer",
                f"{request} is {before['rule']} {before['reason']}; by jeton {after['rule']} "
                f"{after['reason']} ({group['detail']}), {group['count']} times",
            )
    if report["judged"] != len(asked) or report["same"]:
        raise Difference(
            "verdict",
            f"of {len(asked)} requests {report['judged']} were judged, and {report['same']} are "
            f"allowed where the model denies, or denied where it allows",
        )
