"""Random policy folders that are small enough for their routes, tokens and conditions to overlap.

A folder is a dictionary of its sections (`scopes`, `roles`, `apis`, `clients`, `issuers`, `revoked_tokens`, `tests`), as
`decide.read_policies` returns one. `write` makes files of it.
"""

import copy
import json
import random
import re
import shutil
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from decide import Json, alternatives_of

SECTIONS = ("scopes", "roles", "apis", "clients", "issuers", "revoked_tokens", "tests")
FILES = ("first.yaml", "second.yaml", "team/third.yaml")
SCOPES = ("s:1", "s:2", "s:3")
ROLES = ("reader", "writer", "idle")
CLIENTS = ("ann", "bob", "x", "eve")
LITERALS = ("x", "y", "1", "x.js", "x:go")
ENDINGS = (":go", ".js", ".min.js")
PARAMETERS = ("p", "q", "r")
METHODS = {"GET": 6, "ANY": 5, "POST": 3, "HEAD": 2, "DELETE": 1}
# what claims are called in conditions, of which several speak of one claim
CLAIMS = {"t": 6, "u": 4, "sub": 2, "/t": 1, "/t/k": 2, "/t/0": 1, "/o~1o/k": 1, "/u/k/0": 1}
VALUES = ("x", "y", "1", "x.js", "x:go", "ann", 1, -7, True, "true", 2**64 - 1, "")
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SECRET = {"sha256": "5d" * 32}


def moment(seconds: int) -> str:
    """A time, so many seconds after `NOW`."""
    return datetime.fromtimestamp(NOW.timestamp() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def weighted(chance: random.Random, weights: dict[Any, int]) -> Any:
    return chance.choices(*zip(*weights.items(), strict=True))[0]


def some(chance: random.Random, items: Any, least: int = 0, most: int = 3) -> list[Any]:
    items = list(items)
    return chance.sample(items, min(len(items), chance.randint(least, most)))


# --- rules


def draw_pattern(chance: random.Random, deepest: int = 3) -> str:
    free = list(PARAMETERS)
    chance.shuffle(free)
    parts = []
    for _ in range(chance.randint(0, deepest)):
        kind = chance.random()
        if kind < 0.4:
            parts.append(chance.choice(LITERALS))
        else:
            parts.append("{%s}%s" % (free.pop(), chance.choice(ENDINGS) if kind > 0.8 else ""))
    end = chance.random()
    tail = ["**"] if end < 0.2 else ["**", ""] if end < 0.25 else [""] if end < 0.3 or not parts else []
    return "/" + "/".join(parts + tail)


def parameters_of(pattern: str) -> list[str]:
    return re.findall(r"\{(.*?)\}", pattern)


def shape(route: str) -> str:
    """What makes two routes of one API a `duplicate-route`: the names of parameters do not count."""
    return re.sub(r"\{.*?\}", "{}", route)


def draw_condition(chance: random.Random, parameters: list[str], name: str = "") -> Json:
    if name == "sub" and chance.random() < 0.7:
        return {"is": chance.choice(CLIENTS)}
    condition = {}
    for _ in range(chance.choice((1, 1, 1, 1, 2))):
        kind = chance.random()
        if kind < 0.3:
            condition["is"] = chance.choice(VALUES)
        elif kind < 0.45:
            condition["in"] = some(chance, VALUES, 1)
        elif kind < 0.6 or not parameters:
            condition["contains"] = chance.choice(VALUES)
        elif kind < 0.85:
            condition["same_as_path"] = chance.choice(parameters)
        else:
            condition["contains_path"] = chance.choice(parameters)
    return condition


def draw_alternative(chance: random.Random, folder: Json, parameters: list[str]) -> Json:
    """`parameters` are those that each route of the rule has."""
    scopes, roles, clients = list(folder["scopes"]), list(folder["roles"]), list(folder["clients"])
    drawn = {
        "scope": lambda: chance.choice(scopes),
        "all_scopes": lambda: some(chance, scopes, 1, 2),
        "any_scope": lambda: some(chance, scopes, 1, 2),
        "claims": lambda: {
            name: draw_condition(chance, parameters, name)
            for name in (weighted(chance, CLAIMS) for _ in range(chance.choice((1, 1, 2))))
        },
    }
    weights = {"scope": 6, "all_scopes": 1, "any_scope": 2, "claims": 6}
    if roles:
        drawn |= {"role": lambda: chance.choice(roles), "any_role": lambda: some(chance, roles, 1, 2)}
        weights |= {"role": 3, "any_role": 1}
    if clients:
        drawn |= {"client": lambda: chance.choice(clients), "any_client": lambda: some(chance, clients, 1, 2)}
        weights |= {"client": 1, "any_client": 1}
    # a set would have another order each time
    names = dict.fromkeys(weighted(chance, weights) for _ in range(chance.choice((1, 1, 2, 3))))
    return {name: drawn[name]() for name in names}


def draw_requirement(chance: random.Random, folder: Json, routes: list[str]) -> Any:
    everywhere = [name for name in parameters_of(routes[0]) if all(name in parameters_of(route) for route in routes)]
    alternatives = [draw_alternative(chance, folder, everywhere) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    return alternatives[0] if len(alternatives) == 1 and chance.random() < 0.8 else alternatives


def draw_api(chance: random.Random, folder: Json, name: str, rules: int = 5) -> Json:
    api: Json = {"audience": f"https://{name}.example.com", "rules": {}}
    taken: dict[str, str] = {}
    for number in range(chance.randint(1, rules)):
        routes = []
        for _ in range(chance.choice((1, 1, 2, 3))):
            # often one pattern with several methods
            again = taken and chance.random() < 0.35
            pattern = chance.choice(list(taken.values())) if again else draw_pattern(chance)
            route = f"{weighted(chance, METHODS)} {pattern}"
            if shape(route) not in taken:
                taken[shape(route)] = pattern
                routes.append(route)
        if routes:
            is_public = chance.random() < 0.08
            more = {"public": True} if is_public else {"require": draw_requirement(chance, folder, routes)}
            api["rules"][f"{name}{number}"] = {"routes": routes, **more}
    return api


# --- guarantees


def wider(chance: random.Random, route: str) -> str:
    """A route on whose paths the other one is, or almost."""
    method, pattern = route.split()
    parts = pattern[1:].split("/")
    if chance.random() < 0.7:
        # `GET` is about `HEAD` too
        method = "GET" if method in ("GET", "HEAD") and chance.random() < 0.4 else "ANY"
    if len(parts) > 1 and chance.random() < 0.5:
        cut = chance.randrange(1, len(parts))
        parts = [*[part for part in parts[:cut] if part != "**"], "**"]
    named = set(parameters_of(pattern))
    for place, part in enumerate(parts):
        free = [name for name in PARAMETERS if name not in named]
        if part not in ("", "**") and not part.startswith("{") and free and chance.random() < 0.3:
            named.add(free[0])
            parts[place] = "{%s}" % free[0]
    return f"{method} /{'/'.join(parts)}"


def weaker(chance: random.Random, folder: Json, alternative: Json, parameters: list[str]) -> Json:
    """What holds wherever the other one does, or almost."""
    kept = {name: value for name, value in alternative.items() if chance.random() < 0.7} or dict(alternative)
    if chance.random() < 0.5 and folder["roles"].get(kept.get("role")):
        kept["scope"] = chance.choice(folder["roles"][kept.pop("role")])
    if chance.random() < 0.7 and "client" in kept and "claims" not in kept:
        kept["claims"] = {"sub": {"is": kept.pop("client")}}
    for name, condition in list(kept.get("claims", {}).items()):
        named = [condition[one] for one in ("same_as_path", "contains_path") if one in condition]
        if any(one not in parameters for one in named):
            kept["claims"] = {other: value for other, value in kept["claims"].items() if other != name}
    return {name: value for name, value in kept.items() if value != {}}


def draw_guarantee(chance: random.Random, folder: Json, api: Json) -> Json | None:
    rules = [rule for rule in api["rules"].values() if "require" in rule]
    if not rules:
        return None
    routes = [wider(chance, chance.choice(chance.choice(rules)["routes"])) for _ in range(chance.choice((1, 1, 1, 2)))]
    if len({shape(route) for route in routes}) < len(routes):
        return None
    everywhere = [name for name in parameters_of(routes[0]) if all(name in parameters_of(route) for route in routes)]
    if chance.random() < 0.25:
        return {"routes": routes, "only_when": draw_requirement(chance, folder, routes)}
    alternatives = []
    for rule in rules:
        for alternative in alternatives_of(rule["require"]):
            if chance.random() < 0.9 and (said := weaker(chance, folder, alternative, everywhere)):
                alternatives.append(said)
    return {"routes": routes, "only_when": alternatives} if alternatives else None


# --- clients and the folder


def draw_claim(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if kind < 0.6 or depth == 2:
        return chance.choice(VALUES)
    if kind < 0.8:
        return [draw_claim(chance, depth + 1) for _ in range(chance.randint(1, 3))]
    if kind < 0.95:
        return {name: draw_claim(chance, depth + 1) for name in some(chance, ("k", "0", "x"), 1, 2)}
    return 1.5


def draw_client(chance: random.Random, folder: Json) -> Json:
    client: Json = {"secrets": [SECRET], "grants": {}}
    for api in folder["apis"]:
        grant = {"roles": some(chance, folder["roles"], 0, 2), "scopes": some(chance, folder["scopes"], 0, 2)}
        grant = {name: names for name, names in grant.items() if names}
        if grant and chance.random() < 0.8:
            client["grants"][api] = grant
    client["claims"] = {name: draw_claim(chance) for name in some(chance, ("t", "u", "o/o"), 0, 2)}
    odds = {
        "enabled": (0.12, False),
        "anonymous": (0.1, True),
        "bound_tokens": (0.05, True),
        "ttl": (0.1, "5m"),
        "revoked_before": (0.12, moment(chance.choice((-7200, -3600, -60)))),
        "description": (0.1, "a: client # of\tthe model"),
    }
    client |= {name: value for name, (odd, value) in odds.items() if chance.random() < odd}
    return {name: value for name, value in client.items() if value != {}}


def draw_folder(chance: random.Random, rules: int = 5, apis: int = 2) -> Json:
    folder: Json = {section: {} for section in SECTIONS} | {"revoked_tokens": [], "tests": []}
    folder["scopes"] = {scope: "" for scope in some(chance, SCOPES, 1)}
    folder["roles"] = {role: some(chance, folder["scopes"], 0, 2) for role in some(chance, ROLES, 0, 2)}
    folder["clients"] = dict.fromkeys(some(chance, CLIENTS))
    for name in ("a", "b")[: chance.randint(1, apis)]:
        folder["apis"][name] = draw_api(chance, folder, name, rules)
        if chance.random() < 0.1:
            folder["apis"][name]["bound_tokens"] = True
    folder["clients"] = {client: draw_client(chance, folder) for client in folder["clients"]}
    if chance.random() < 0.3:
        folder["revoked_tokens"] = some(chance, ("j1", "j1.2", "j2", "j3"))
    return folder


# --- files


def write(folder: Json, place: Path) -> None:
    """The files of a folder. Which name stands in which file depends on the name alone."""
    shutil.rmtree(place, ignore_errors=True)
    documents: dict[str, Json] = {}
    for section in SECTIONS:
        items = folder.get(section)
        if isinstance(items, dict):
            for name, item in items.items():
                file = FILES[zlib.crc32(f"{section} {name}".encode()) % len(FILES)]
                documents.setdefault(file, {"version": 1}).setdefault(section, {})[name] = item
        elif items:
            documents.setdefault(FILES[0], {"version": 1})[section] = items
    for file, document in (documents or {FILES[0]: {"version": 1}}).items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_text(text_of(document), encoding="utf-8")


def text_of(value: Any, indent: str = "") -> str:
    """In YAML: maps and lists of maps over several lines, the rest in brackets."""
    if isinstance(value, dict) and value:
        lines = []
        for name, item in value.items():
            inner = text_of(item, indent + "  ")
            lines.append(f"{indent}{scalar(name)}:" + (f"\n{inner}" if "\n" in inner else f" {inner}\n"))
        return "".join(lines)
    if isinstance(value, list) and value and all(isinstance(item, dict) and item for item in value):
        return "".join(f"{indent}-{text_of(item, indent + '  ')[len(indent) + 1 :]}" for item in value)
    return flow(value)


def flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(name)}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Text with quotes only where it needs them."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"[A-Za-z][A-Za-z0-9./_-]*", value)
        and value not in ("true", "false", "null")
    ):
        return value
    return json.dumps(value, ensure_ascii=False)


def copied(folder: Json) -> Json:
    return copy.deepcopy(folder)
