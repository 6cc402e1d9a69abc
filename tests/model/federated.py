"""Which tokens of other issuers stand for which client: whether one could stand for two, and what `jeton clients match`
says of random ones."""

import base64
import json
import os
import random
import re
import subprocess
import time
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

from asking import put
from cases import Difference
from decide import Json, claim_holds, claim_of
from folders import SECRET, some, weighted, write
from guarantees import findings
from universe import Ground, Tokens, grounded

ISSUERS = {
    name: {"issuer": f"https://{name}.example.com", "audience": "https://jeton.example.com", "keys": {"discover": True}}
    for name in ("ci", "pods")
}
# what conditions are about, of which several speak of one claim
CLAIMS = {"ref": 5, "/ref": 1, "env": 3, "/k/ns": 3, "/k": 1, "groups": 3, "/groups/0": 2, "sub": 2, "/a~1b/0/c": 1}
VALUES = ("main", "dev", "42", 42, True, "")
ROOTS = ("ref", "env", "k", "groups", "sub", "a/b")
# how many tokens are shown to a folder that loads
SHOWN = 4


def draw_condition(chance: random.Random, name: str) -> Json:
    values = [value for value in VALUES if value and type(value) is str] if name == "sub" else VALUES
    kind = chance.random()
    if kind < 0.5:
        return {"is": chance.choice(values)}
    if kind < 0.75 or name == "sub":
        return {"in": some(chance, values, 1)}
    return {"contains": chance.choice(values)} | ({"is": chance.choice(values)} if chance.random() < 0.1 else {})


def draw(chance: random.Random) -> Json:
    folder: Json = {
        "scopes": {"s:1": ""},
        "issuers": {},
        "clients": {},
        "revoked_tokens": [],
        "roles": {},
        "tests": [],
        "apis": {
            "a": {
                "audience": "https://a.example.com",
                "rules": {"all": {"routes": ["ANY /**"], "require": {"scope": "s:1"}}},
            }
        },
    }
    for name in some(chance, ISSUERS, 1):
        folder["issuers"][name] = ISSUERS[name] | ({"enabled": False} if chance.random() < 0.1 else {})
    # few claims, so that conditions meet
    names = some(chance, CLAIMS, 2, 4)
    weights = {name: CLAIMS[name] for name in names}
    for client in ("ann", "bob", "eve")[: chance.choice((2, 2, 3))]:
        entries = []
        for _ in range(chance.choice((1, 1, 2))):
            about = dict.fromkeys(weighted(chance, weights) for _ in range(chance.choice((1, 2, 2, 3))))
            claims = {name: draw_condition(chance, name) for name in about}
            entry = {"issuer": chance.choice(list(folder["issuers"])), "claims": claims}
            if chance.random() < 0.2:
                entry["claims_from"] = {"taken": chance.choice(("env", "/k/ns", "absent", "groups"))}
            entries.append(entry)
        folder["clients"][client] = {"federated": entries, "grants": {"a": {"scopes": ["s:1"]}}}
        if chance.random() < 0.3:
            folder["clients"][client]["secrets"] = [SECRET]
        if chance.random() < 0.1:
            folder["clients"][client]["enabled"] = False
    return {"folder": folder, "tokens": [draw_token(chance, folder) for _ in range(SHOWN)]}


def draw_token(chance: random.Random, folder: Json) -> Json:
    """The claims that a platform signs: often those that an entry wants."""
    entries = [entry for client in folder["clients"].values() for entry in client["federated"]]
    entry = chance.choice(entries)
    token: Json = {"iss": folder["issuers"][entry["issuer"]]["issuer"]}
    for name in some(chance, ROOTS, 0, 3):
        token[name] = chance.choice(("main", "job") if name == "sub" else (*VALUES, ["main", 42], {"ns": "main"}, 1.5))
    for name, condition in entry["claims"].items():
        if chance.random() < 0.9:
            put(token, name, value_for(condition, chance))
    return token


def value_for(condition: Json, chance: random.Random) -> Any:
    values = {
        "is": lambda value: value,
        "in": lambda values: chance.choice(values),
        "contains": lambda value: [value, "dev"],
    }
    return [values[operator](value) for operator, value in condition.items()][0]


# --- by the model


def renamed(claims: Json) -> Json:
    """`sub` is a claim like others in a token of another issuer."""
    return {{"sub": "foreign"}.get(name, name): condition for name, condition in claims.items()}


def entries_of(client: Json, issuer: str) -> list[Json]:
    return [renamed(entry["claims"]) for entry in client.get("federated", []) if entry["issuer"] == issuer]


def ground_of(entries: list[Json]) -> Ground:
    return grounded([{"claims": claims} for claims in entries], {})


def ambiguous(folder: Json) -> dict[tuple[str, str], Json]:
    """Pairs of clients with a token that stands for both."""
    found = {}
    for one, other in combinations(folder["clients"], 2):
        for issuer in folder["issuers"]:
            grounds = [ground_of(entries_of(folder["clients"][name], issuer)) for name in (one, other)]
            tokens = Tokens({}, grounds)
            if both := tokens.passing(grounds[0]) & tokens.passing(grounds[1]):
                found[tuple(sorted((one, other)))] = tokens.example(both)["claims"]
    return found


def impossible(folder: Json) -> Counter[str]:
    """How many entries of each client no token can meet."""
    count = Counter[str]()
    for name, client in folder["clients"].items():
        for issuer in folder["issuers"]:
            for claims in entries_of(client, issuer):
                ground = ground_of([claims])
                count[name] += not Tokens({}, [ground]).passing(ground)
    return +count


def stands_for(folder: Json, token: Json) -> tuple[list[str], bool]:
    """The clients, and whether the service takes the token. A client does not count whose tokens would lack a claim."""
    clients, taken = [], False
    for name, client in folder["clients"].items():
        for entry in client.get("federated", []):
            issuer = folder["issuers"][entry["issuer"]]
            if issuer["issuer"] == token["iss"] and all(
                claim_holds(claim_of(token, claim), condition, {}) for claim, condition in entry["claims"].items()
            ):
                values = [claim_of(token, source) for source in entry.get("claims_from", {}).values()]
                if all(value is not None and not isinstance(value, dict) for value in values):
                    clients.append(name)
                    taken = issuer.get("enabled", True) and client.get("enabled", True)
                break  # the first that holds gives `claims_from`
    return clients, taken


# --- by the program


def jwt(claims: Json) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "RS256", "kid": "k"}, claims)
    ]
    return ".".join([*parts, base64.urlsafe_b64encode(bytes(256)).rstrip(b"=").decode()])


def matched(program: Path, place: Path, token: Json) -> tuple[str | None, int, str]:
    """The client, the exit code and all that is said."""
    now = int(time.time())
    claims = {"aud": "https://jeton.example.com", "iat": now - 10, "exp": now + 300} | token
    settings = {"JETON__POLICIES__DIR": str(place), "JETON__ISSUER": "https://tokens.example.com"}
    done = subprocess.run(
        [program, "clients", "match", "--unverified", jwt(claims)],
        capture_output=True,
        text=True,
        env=os.environ | settings,
        cwd=place,
    )
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    return lines.get("client"), done.returncode, done.stdout + done.stderr


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    folder = case["folder"]
    write(folder, place)
    found = findings(program, place)
    errors = [finding for finding in found if finding["severity"] == "error"]
    said = {
        tuple(sorted(finding["message"].split("`")[3::2][-2:])): finding
        for finding in errors
        if finding["code"] == "ambiguous-federation"
    }
    if others := [finding for finding in errors if finding["code"] != "ambiguous-federation"]:
        raise Difference("other error", json.dumps(others))
    model = ambiguous(folder)
    if model.keys() != said.keys():
        raise Difference("ambiguity", f"by the model {model}, by jeton {[finding['message'] for finding in said.values()]}")
    for pair, finding in said.items():
        # the finding has such a token
        token = json.loads(finding["message"].partition(" with the claims ")[2].partition(" could stand for client")[0])
        issuer = finding["message"].split("`")[1]
        clients = {
            name: {"federated": [{"issuer": entry["issuer"], "claims": entry["claims"]} for entry in client["federated"]]}
            for name, client in folder["clients"].items()
        }
        both, _ = stands_for(folder | {"clients": clients}, {"iss": folder["issuers"][issuer]["issuer"], **token})
        if not set(pair) <= set(both):
            raise Difference("ambiguous token", f"{finding['message']}: it stands for {both}")
    tally["ambiguous" if model else "unambiguous"] += 1
    cannot = impossible(folder)
    warned = Counter(
        re.findall(r"client `(.*?)`", finding["message"])[0]
        for finding in found
        if finding["code"] == "impossible-federation"
    )
    tally["impossible"] += sum(cannot.values())
    if not errors and cannot != warned:
        messages = [finding["message"] for finding in found if finding["code"] == "impossible-federation"]
        raise Difference("impossible", f"by the model {dict(cannot)}, by jeton {messages}")
    for token in case["tokens"] if not model else []:
        clients, taken = stands_for(folder, token)
        client, code, output = matched(program, place, token)
        tally["one client" if clients else "no client"] += 1
        tally["refused all the same"] += bool(clients) and not taken
        if [client] != (clients or [None]) or code != (0 if taken else 3):
            raise Difference(
                "match",
                f"{token} stands for {clients} and is {'taken' if taken else 'refused'} by the model; "
                f"exit code {code}: {output}",
            )
