"""Who gains and who loses between two folders, by asking every token on every path of both; and what `jeton policies diff`
says of them."""

import json
import random
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from cases import Difference
from decide import ALLOWS, Json, alternatives_of, holds, judge, scopes_of
from edits import edited
from folders import draw_folder, write
from universe import NOBODY, PUBLIC, Ground, Routes, compared_with_paths, dead_rules, grounded, methods_of, paths, that_passes

# what changes at a route: effect, API, who, the rule before and after
Change = tuple[str, str, str, str | None, str | None]
ANYBODY = "any token"
EFFECTS = {"gains": "widens", "loses": "narrows"}


def draw(chance: random.Random) -> Json:
    old = draw_folder(chance, rules=3)
    return {"old": old, "new": edited(chance, old)}


# --- by the model


def token_of(folder: Json, api: str, name: str) -> Json | None:
    """What a client's token carries with all that it is granted."""
    client = folder["clients"].get(name)
    grant = client and client.get("grants", {}).get(api)
    if not grant or client.get("enabled") is False:
        return None
    scopes = set(grant.get("scopes", [])) | {scope for role in grant.get("roles", []) for scope in folder["roles"][role]}
    named = {} if client.get("anonymous") else {"client_id": name, "sub": name}
    return {**client.get("claims", {}), **named, "scope": " ".join(sorted(scopes)), "roles": grant.get("roles", [])}


def lets_in(rules: Json, found: Any) -> tuple[Ground, bool]:
    if not found:
        return NOBODY, False
    rule = rules[found[0]]
    return (PUBLIC, True) if rule.get("public") else (grounded(rule["require"], found[1]), False)


def is_public(rules: Json, rule: str | None) -> bool:
    return rule is not None and "public" in rules[rule]


def opens(rules: Json, found: Any, token: Json | None) -> bool:
    if not found or "public" in rules[found[0]]:
        return bool(found)
    return token is not None and any(
        holds(alternative, token, scopes_of(token), found[1]) for alternative in alternatives_of(rules[found[0]]["require"])
    )


def route_changes(old: Json, new: Json) -> set[Change]:
    changes: set[Change] = set()
    for api in old["apis"].keys() | new["apis"].keys():
        changes |= changes_at(api, old, new)
    return changes


def changes_at(api: str, old: Json, new: Json) -> set[Change]:
    sides = [folder["apis"].get(api, {}).get("rules") or {} for folder in (old, new)]
    items = [rule for rules in sides for rule in rules.values()]
    claims = compared_with_paths(items)
    texts = {
        str(leaf)
        for folder in (old, new)
        for name, client in folder["clients"].items()
        for claim, value in [*client.get("claims", {}).items(), ("sub", name)]
        if claim in claims
        for leaf in texts_of(value)
    }
    routes, methods = [Routes(rules) for rules in sides], methods_of(items)
    clients = {
        name: [token_of(folder, api, name) for folder in (old, new)]
        for name in old["clients"].keys() | new["clients"].keys()
    }
    asked: dict[Any, set[Any]] = {}
    changes: set[Change] = set()
    for path in paths(items, texts):
        matching = [one.at(path) for one in routes]
        for method in methods if any(matching) else []:
            found = [Routes.decides(one, method) for one in matching]
            rules = tuple(one and one[0] for one in found)
            asked.setdefault(tuple(map(lets_in, sides, found)), set()).add(rules)
            for name, tokens in clients.items():
                # a client without a token here is everybody, and what everybody gains is told once
                if is_public(sides[1], rules[1]) or tokens == [None, None]:
                    continue
                before, after = map(opens, sides, found, tokens)
                if before != after:
                    changes.add(("gains" if after else "loses", api, name, *rules))
    # who gains has a token of the new policies, and who loses has one of the old
    for ((before, was_open), (after, is_open)), rules_of_both in asked.items():
        gains = is_open and not was_open or that_passes(new["roles"], after, before)
        loses = was_open and not is_open or that_passes(old["roles"], before, after)
        for effect in [name for name, so in (("gains", gains), ("loses", loses)) if so]:
            changes |= {(effect, api, ANYBODY, *rules) for rules in rules_of_both}
    return changes


def texts_of(claim: Any) -> list[Any]:
    if isinstance(claim, dict | list):
        return [leaf for item in (claim.values() if isinstance(claim, dict) else claim) for leaf in texts_of(item)]
    return [claim] if type(claim) in (str, int) else []


def other_changes(old: Json, new: Json) -> set[str]:
    """Effects that no request shows."""
    effects = set()
    listed = old["revoked_tokens"] + new["revoked_tokens"]

    def both(before: Any, after: Any) -> None:
        """What is held before and after, as sets."""
        effects.update(["gains"] if after - before else [], ["loses"] if before - after else [])

    for name in old["clients"].keys() | new["clients"].keys():
        was, became = old["clients"].get(name), new["clients"].get(name)
        both(
            {name} if was is not None and is_enabled(was) else set(),
            {name} if became is not None and is_enabled(became) else set(),
        )
        both({name} if was is not None else set(), {name} if became is not None else set())
        if was is None or became is None or not (is_enabled(was) and is_enabled(became)):
            continue
        for api in old["apis"].keys() | new["apis"].keys():
            both(granted(old, api, name), granted(new, api, name))
        # what an API newly takes or refuses is told once, and not for each client
        if bool(was.get("bound_tokens")) != bool(became.get("bound_tokens")):
            both(gets_unbound(old, name), gets_unbound(new, name))
        # tokens that name nobody are not revoked by it; times of one form sort as text
        times = [client.get("revoked_before") or "" for client in (was, became)]
        if times[0] != times[1] and not was.get("anonymous") and not became.get("anonymous"):
            effects.add("loses" if times[0] < times[1] else "gains")
    both(*({jti for jti in listed if not is_ended(jti, folder["revoked_tokens"])} for folder in (old, new)))
    for api in old["apis"].keys() & new["apis"].keys():
        sides = [folder["apis"][api] for folder in (old, new)]
        if bool(sides[0].get("bound_tokens")) != bool(sides[1].get("bound_tokens")):
            both(*({api} if takes_unbound(side) else set() for side in sides))
    return effects


def is_enabled(client: Json) -> bool:
    return client.get("enabled") is not False


def gets_unbound(folder: Json, name: str) -> set[str]:
    client = folder["clients"][name]
    takes = [api for api in client.get("grants", {}) if not folder["apis"][api].get("bound_tokens")]
    return {name} if takes and not client.get("bound_tokens") else set()


def takes_unbound(api: Json) -> bool:
    """Whether it has something that an unbound token opens, and that is closed without one."""
    return not api.get("bound_tokens") and any("require" in rule for rule in (api.get("rules") or {}).values())


def is_ended(jti: str, revoked: list[str]) -> bool:
    return any(f"{jti}.".startswith(f"{one}.") for one in revoked)


def granted(folder: Json, api: str, name: str) -> set[str]:
    token = token_of(folder, api, name)
    return set(scopes_of(token)) | {f"role {role}" for role in token["roles"]} if token else set()


def summary(effects: set[str]) -> str:
    return {0: "neither", 1: EFFECTS.get(next(iter(effects), ""), ""), 2: "both"}[len(effects)]


# --- by the program


def who(change: Json) -> str:
    return change["who"]["client"] if isinstance(change["who"], dict) and "client" in change["who"] else ANYBODY


def rule_of(side: Json | None) -> str | None:
    return side["rule"] if side else None


def is_shown(change: Json, old: Json, new: Json) -> bool:
    """Whether the old and the new policies differ on the request that the report says to try."""
    witness = change["witness"]
    token, api = witness["token"], change["api"]
    tokens = [token and {**token["claims"], "scope": " ".join(token["scopes"]), "roles": token["roles"]}] * 2
    if who(change) != ANYBODY:
        tokens = [token_of(folder, api, who(change)) for folder in (old, new)]
    elif token and (name := token.get("client")):
        tokens = [tokens[0] | {"client_id": name, "sub": name}] * 2
    opened = [
        judge(folder["apis"].get(api, {}).get("rules") or {}, claims, witness["method"], witness["path"])[0] in ALLOWS
        for folder, claims in zip((old, new), tokens, strict=True)
    ]
    return opened == [change["effect"] == "loses", change["effect"] == "gains"]


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    old, new = case["old"], case["new"]
    folders = [place / "old", place / "new"]
    for folder, files in zip((old, new), folders, strict=True):
        write(folder, files)
    done = subprocess.run([program, "policies", "diff", *folders, "--format", "json"], capture_output=True, text=True)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        faults = [line for line in done.stderr.splitlines() if ": error: " in line]
        named = {name for fault in faults for name in re.findall(r"error: rule `(.+?)` .*\[dead-rule\]$", fault)}
        dead = [
            {name for api in folder["apis"].values() for name in dead_rules(api.get("rules") or {})} for folder in (old, new)
        ]
        if done.returncode == 1 and named and len(named) == len(faults) and named in dead:
            tally["dead rules"] += 1
            return
        raise Difference("output", f"exit code {done.returncode}: {done.stderr}") from None
    changes = route_changes(old, new)
    effects = {change[0] for change in changes} | other_changes(old, new)
    tally[summary(effects)] += 1
    said = [
        change for change in report["changes"] if change["kind"] == "route" and change["api"] in {*old["apis"], *new["apis"]}
    ]
    program_says = {
        (change["effect"], change["api"], who(change), rule_of(change["before"]), rule_of(change["after"]))
        for change in said
    }
    if changes != program_says:
        alone = [sorted(one - other, key=str) for one, other in ((changes, program_says), (program_says, changes))]
        raise Difference("routes", f"only by the model {alone[0]}, only by jeton {alone[1]}")
    if report["summary"] != summary(effects):
        raise Difference("summary", f"{summary(effects)} by the model, {report['summary']} by jeton")
    # 3 where somebody gains; 1 where nothing differs and a server would refuse the policies
    if (done.returncode == 3) != ("gains" in effects):
        raise Difference("exit code", f"{done.returncode}, and it {summary(effects)}")
    for change in said:
        if not is_shown(change, old, new):
            raise Difference("witness", json.dumps(change))
    tally["changes"] += len(changes)
