"""Which guarantees hold, by asking every token on every path; and what `jeton policies check` says of them."""

import json
import random
import subprocess
from collections import Counter
from pathlib import Path

from cases import Difference
from decide import Json, match
from folders import draw_folder, draw_guarantee, write
from universe import PUBLIC, Routes, covers, grounded, methods_of, paths, routes_of, that_passes


def draw(chance: random.Random) -> Json:
    folder = draw_folder(chance, rules=4)
    for name, api in folder["apis"].items():
        drawn = {f"{name}-g{number}": draw_guarantee(chance, folder, api) for number in range(chance.choice((1, 1, 2)))}
        api["guarantees"] = {name: guarantee for name, guarantee in drawn.items() if guarantee}
    return {"folder": folder}


def expected(folder: Json) -> set[tuple[str, str]]:
    """The errors, by code and name."""
    dead = {("dead-rule", rule) for api in folder["apis"].values() for rule in dead_rules(api.get("rules") or {})}
    # guarantees are proved only where nothing else is wrong
    return dead or {("broken-guarantee", name) for api in folder["apis"].values() for name in broken(folder, api)}


def dead_rules(rules: Json) -> set[str]:
    routes, methods = Routes(rules), methods_of(rules.values())
    decided = set()
    for path in paths(list(rules.values())):
        matching = routes.at(path)
        decided |= {found[0] for method in methods if matching and (found := routes.decides(matching, method))}
    return set(rules) - decided


def broken(folder: Json, api: Json) -> dict[str, str]:
    """The guarantees that do not hold, each with a request and a token that show it."""
    rules, guarantees = api.get("rules") or {}, api.get("guarantees") or {}
    items = [*rules.values(), *guarantees.values()]
    routes, methods = Routes(rules), methods_of(items)
    asked = {}
    for path in paths(items):
        matching = routes.at(path)
        guards = [(name, method, found[1], guarantee["only_when"]) for name, guarantee in guarantees.items()
                  for method, pattern in routes_of(guarantee) if matching and (found := match(pattern, path))]
        for method in methods if guards else []:
            if not (found := routes.decides(matching, method)):
                continue
            rule = rules[found[0]]
            lets_in = PUBLIC if rule.get("public") else grounded(rule["require"], found[1])
            for name, guarded, parameters, only_when in guards:
                if covers(guarded, method):
                    question = (name, lets_in, bool(rule.get("public")), grounded(only_when, parameters))
                    asked.setdefault(question, f"{method} /{'/'.join(path)} by {found[0]}")
    shown = {}
    for (name, lets_in, is_public, only_when), request in asked.items():
        if is_public:
            shown.setdefault(name, f"{request} without a token")
        elif name not in shown and (token := that_passes(folder["roles"], lets_in, only_when)):
            shown[name] = f"{request} with {json.dumps(token)}"
    return shown


def findings(program: Path, place: Path) -> list[Json]:
    done = subprocess.run([program, "policies", "check", place, "--format", "json"], capture_output=True, text=True)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise Difference("output", f"no JSON: {done.stdout}{done.stderr}") from None
    if (done.returncode == 1) != any(finding["severity"] == "error" for finding in found):
        raise Difference("exit code", f"{done.returncode}, and the findings are {found}")
    return found


def said(found: list[Json]) -> set[tuple[str, str]]:
    return {(finding["code"], finding["message"].split("`")[1]) for finding in found if finding["severity"] == "error"}


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    folder = case["folder"]
    write(folder, place)
    model, program_says = expected(folder), said(findings(program, place))
    names = [(api, name) for api in folder["apis"].values() for name in api.get("guarantees") or {}]
    if any(code == "dead-rule" for code, _ in model):
        tally["dead rules"] += 1
    else:
        tally["broken"] += len(model)
        tally["held"] += len(names) - len(model)
    if model != program_says:
        shown = {name: why for api in folder["apis"].values() for name, why in broken(folder, api).items()}
        raise Difference("findings", f"by the model {sorted(model)}, by jeton {sorted(program_says)}; {shown}")
