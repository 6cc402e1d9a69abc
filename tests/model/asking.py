"""Random tokens and requests for a folder: near its routes and its conditions, and in hostile spellings."""

import random
from collections.abc import Callable
from typing import Any

from decide import METHODS, Json, alternatives_of
from folders import CLIENTS, NOW, VALUES, draw_claim, parameters_of, some, weighted
from universe import steps_of

ISSUED = int(NOW.timestamp())
ODD_METHODS = ("get", "TRACE", "CONNECT", "ANY", "", "GET ", "PURGE", "HEAD", "QUERY")


# --- tokens, as the claims that a service finds in them


def draw_token(chance: random.Random, folder: Json) -> Json | None:
    """What a good token says, or None for a request without one."""
    if chance.random() < 0.08:
        return None
    clients = [client for client, entry in folder["clients"].items() if not entry.get("anonymous")]
    if clients and chance.random() < 0.75:
        holder = chance.choice(clients)
        named = {"client_id": holder, "sub": holder}
        if chance.random() < 0.15:
            named |= exchange(chance, clients)
    else:
        named = {"client_id": "stranger", "sub": "stranger"} if chance.random() < 0.1 else {}
    token = named | {
        "jti": chance.choice(("j0", "j1", "j1.2", "j12", "j1.2.3", "j2.9", "j4")),
        "iat": ISSUED - chance.choice((10, 60, 61, 1800, 3600, 3599, 7201)),
    }
    if "exchanges" in named:
        token["auth_time"] = token["iat"] - chance.choice((0, 30, 3600))
    token["scope"] = " ".join(some(chance, folder["scopes"]))
    if roles := some(chance, folder["roles"], 0, 2):
        token["roles"] = roles
    own = {name: draw_claim(chance) for name in some(chance, ("t", "u", "o/o", "other"), 0, 3)}
    if client := folder["clients"].get(named.get("sub")):
        own |= client.get("claims", {}) if chance.random() < 0.3 else {}
    token |= own
    if chance.random() < 0.7:
        qualify(chance, folder, token)
    return token


def qualify(chance: random.Random, folder: Json, token: Json) -> None:
    """Makes a token meet one alternative of a rule, or almost."""
    rules = [rule for api in folder["apis"].values() for rule in api["rules"].values() if "require" in rule]
    if not rules:
        return
    wanted = chance.choice(alternatives_of(chance.choice(rules)["require"]))
    scopes = [wanted[part] for part in ("scope",) if part in wanted] + wanted.get("all_scopes", [])
    scopes += wanted.get("any_scope", [])[:1]
    roles = [wanted[part] for part in ("role",) if part in wanted] + wanted.get("any_role", [])[:1]
    scopes += [scope for role in roles for scope in folder["roles"][role] if chance.random() < 0.9]
    if chance.random() < 0.9:
        token["scope"] = " ".join(dict.fromkeys([*token["scope"].split(), *scopes]))
    if chance.random() < 0.9 and roles:
        token["roles"] = list(dict.fromkeys([*token.get("roles", []), *roles]))
    for name, condition in wanted.get("claims", {}).items():
        if name != "sub" and chance.random() < 0.95:
            operator, value = chance.choice(list(condition.items()))
            value = (
                chance.choice(value) if operator == "in" else chance.choice(VALUES) if operator.endswith("_path") else value
            )
            value = near(chance, value) if chance.random() < 0.2 else value
            put(
                token,
                name,
                [draw_claim(chance), value][-chance.choice((1, 2)) :] if operator.startswith("contains") else value,
            )


def near(chance: random.Random, value: Any) -> Any:
    """What a careless comparison takes for the value."""
    alike: list[Any] = [str(value), str(value).upper(), [value], {"k": value}, f" {value}", f"{value}\u0000", None]
    if type(value) is bool:
        alike += [int(value)] * 4
    elif type(value) is int:
        alike += [float(value), bool(value), bool(value), value + 1, -value]
    return chance.choice(alike)


def put(token: Json, name: str, value: Any) -> None:
    """Sets a claim, or a member of one."""
    root, *steps = steps_of(name)
    for step in reversed(steps):
        value = [value] if step == "0" else {step: value}
    token[root] = value


def exchange(chance: random.Random, clients: list[str]) -> Json:
    """The claims that an exchange leaves."""
    actors = [chance.choice(clients) for _ in range(chance.choice((1, 1, 2)))]
    act: Json = {"sub": actors[-1]}
    for actor in reversed(actors[:-1]):
        act = {"sub": actor, "act": act}
    return {
        "sub": chance.choice([*clients, "stranger"] if chance.random() < 0.1 else clients),
        "client_id": actors[0],
        "exchanges": len(actors),
        "act": act,
    }


# --- requests


def draw_request(chance: random.Random, api: Json, token: Json | None) -> tuple[str, str]:
    """A method, and a path as it is sent."""
    rule = chance.choice(list(api["rules"].values())) if api["rules"] else {"routes": ["GET /x"]}
    route_method, pattern = chance.choice(rule["routes"]).split()
    method = "HEAD" if route_method in ("GET", "ANY") and chance.random() < 0.25 else route_method
    if method == "ANY" or chance.random() < 0.2:
        method = chance.choice(METHODS)
    if chance.random() < 0.02:
        method = chance.choice(ODD_METHODS)
    path = filled(chance, pattern, token or {})
    for _ in range(weighted(chance, {0: 12, 1: 6, 2: 1})):
        path = chance.choice(CHANGES)(chance, path)
    if chance.random() < 0.002:
        path = lengthened(chance, path)
    return method, path


def filled(chance: random.Random, pattern: str, token: Json) -> str:
    for name in parameters_of(pattern):
        pattern = pattern.replace("{%s}" % name, word(chance, token))
    return pattern.replace("**", "/".join(word(chance, token) for _ in range(chance.choice((1, 1, 2, 3)))))


def word(chance: random.Random, token: Json) -> str:
    """A segment, often one that a claim of the token equals."""
    own = [value for name in ("t", "u", "sub") for value in leaves(token.get(name))]
    chosen = (
        chance.choice(own) if own and chance.random() < 0.6 else chance.choice((*VALUES, *CLIENTS, "q", "007", "-0", "1.0"))
    )
    text = str(chosen).lower() if type(chosen) is bool else str(chosen)
    return text or "q"


def leaves(claim: Any) -> list[Any]:
    if isinstance(claim, dict):
        return [leaf for item in claim.values() for leaf in leaves(item)]
    if isinstance(claim, list):
        return [leaf for item in claim for leaf in leaves(item)]
    return [] if claim is None else [claim]


# --- hostile and odd spellings


def escaped(chance: random.Random, path: str) -> str:
    """A character in its escape, of either case."""
    if len(path) < 2:
        return path
    place = chance.randrange(1, len(path))
    bytes_of = path[place].encode("utf-8", "surrogatepass")
    spelled = "".join(f"%{byte:02{chance.choice('xX')}}" for byte in bytes_of)
    return path[:place] + spelled + path[place + 1 :]


def with_inserted(*texts: str) -> Callable[[random.Random, str], str]:
    def insert(chance: random.Random, path: str) -> str:
        place = chance.randrange(len(path) + 1)
        return path[:place] + chance.choice(texts) + path[place:]

    return insert


def without_one(chance: random.Random, path: str) -> str:
    place = chance.randrange(len(path)) if path else 0
    return path[:place] + path[place + 1 :]


def other_case(chance: random.Random, path: str) -> str:
    place = chance.randrange(len(path)) if path else 0
    return path[:place] + path[place : place + 1].swapcase() + path[place + 1 :]


def lengthened(chance: random.Random, path: str) -> str:
    """At the border of 8 KiB, or of 64 segments."""
    if chance.random() < 0.5:
        return path + "a" * (8192 + chance.choice((-1, 0, 1)) - len(path.encode()))
    count = path.count("/")
    return path + "/x" * (64 + chance.choice((-1, 0, 1)) - count)


CHANGES = (
    escaped,
    escaped,
    escaped,
    other_case,
    without_one,
    without_one,
    lambda chance, path: path + "/",
    lambda chance, path: path + "?" + chance.choice(("", "a=b", "/../x", "a=%zz", "access=1", "\\")),
    with_inserted("/", "//", "/./", "/../", "..", ".", "/.../", "/%2e/", "/%2E%2e", "/.%2e/", "%2e", "%252e"),
    with_inserted(
        "%2f", "%2F", "%5c", "%5C", "\\", "%25", "%", "%zz", "%1", "%3b", ";", "%3B", ";v=1", "%3f", "%23", "#", "?"
    ),
    with_inserted("%00", "%0a", "%7f", "%C2%85", "\t", "\x00", "\x7f", "\x85", " ", "%20", "+", "\n"),
    with_inserted(
        "é",
        "%C3%A9",
        "%c3%a9",
        "%C3",
        "%A9",
        "%C0%AF",
        "%c0%ae",
        "%ED%A0%80",
        "%F4%90%80%80",
        "%EF%BC%8F",
        "．",
        "％2e",
        "%E2%80%AE",
        "%F0%9F%98%80",
        "%FF",
        "%EF%BC%8E",
    ),
    with_inserted(":go", ".js", ".min.js", ":", "*", "{p}", "**", "'", '"', "<", "|", "@", "http://h"),
    lambda chance, path: (
        path[1:] if chance.random() < 0.5 else chance.choice(("*", "http://a.example.com" + path, "", "//" + path, "?"))
    ),
)
