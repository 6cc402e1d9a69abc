"""Which guarantees hold, by asking every token on every path; and what `jeton policies check` says of them."""

import json
import random
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from asking import filled
from cases import Difference
from decide import ALLOWS, METHODS, Json, judge, match
from differences import token_of
from folders import CLIENTS, draw_claim, draw_folder, draw_guarantee, shape, some, write
from universe import PUBLIC, Routes, covers, dead_rules, grounded, methods_of, paths, routes_of, that_passes


def draw(chance: random.Random) -> Json:
    folder = draw_folder(chance, rules=4)
    for name, api in folder["apis"].items():
        if chance.random() < 0.1:
            cover(chance, api["rules"], name)
        drawn = {f"{name}-g{number}": draw_guarantee(chance, folder, api) for number in range(chance.choice((1, 1, 2)))}
        api["guarantees"] = {name: guarantee for name, guarantee in drawn.items() if guarantee}
    folder["tests"] = [draw_test(chance, folder) for _ in range(chance.choice((0, 0, 1, 2)))]
    return {"folder": folder}


def cover(chance: random.Random, rules: Json, name: str) -> None:
    """Adds routes that decide all that a rule of `/**` covers, or almost all."""
    routes = ["ANY /{p}", *(f"{method} /{{p}}/**" for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))]
    if chance.random() < 0.4:
        routes.remove(chance.choice(routes))
    taken = {shape(route) for rule in rules.values() for route in rule["routes"]}
    routes = [route for route in routes if shape(route) not in taken]
    if routes and "ANY /**" not in taken:
        rules[f"{name}-covers"] = {"routes": routes, "require": {"claims": {"t": {"is": "x"}}}}
        rules[f"{name}-covered"] = {"routes": ["ANY /**"], "require": {"claims": {"u": {"is": "x"}}}}


def draw_test(chance: random.Random, folder: Json) -> Json:
    """Mostly with the right answers."""
    api = chance.choice(list(folder["apis"]))
    rules = folder["apis"][api]["rules"]
    if folder["clients"] and chance.random() < 0.5:
        tested: Any = chance.choice(list(folder["clients"]))
    else:
        tested = {"scopes": some(chance, folder["scopes"]), "roles": some(chance, folder["roles"], 0, 1)}
        tested["claims"] = {name: draw_claim(chance) for name in some(chance, ("t", "u", "o/o"), 0, 2)}
        if chance.random() < 0.2:
            tested["claims"]["sub"] = chance.choice(CLIENTS)
    test: Json = {"as": tested, "api": api, "allow": [], "deny": []}
    for _ in range(chance.choice((1, 2, 3))):
        method, pattern = chance.choice(chance.choice(list(rules.values()))["routes"]).split() if rules else ("GET", "/x")
        method = chance.choice(METHODS) if method == "ANY" else method
        request = f"{method} {filled(chance, pattern, {})}"
        allowed = is_allowed(folder, test, request)
        test["allow" if allowed != (chance.random() < 0.1) else "deny"].append(request)
    return {name: value for name, value in test.items() if value != []}


def is_allowed(folder: Json, test: Json, request: str) -> bool:
    tested, api = test["as"], test["api"]
    if isinstance(tested, dict):
        # roles bring their scopes
        scopes = {*tested["scopes"], *(scope for role in tested["roles"] for scope in folder["roles"][role])}
        token = {**tested["claims"], "scope": " ".join(sorted(scopes)), "roles": tested["roles"]}
    else:
        # whether it is enabled or not
        client = {name: value for name, value in folder["clients"][tested].items() if name != "enabled"}
        token = token_of(folder | {"clients": {tested: client}}, api, tested) or {}
    return judge(folder["apis"][api]["rules"], token, *request.split(" "))[0] in ALLOWS


def failing(folder: Json) -> Counter[tuple[str, str]]:
    return Counter(
        (answer, request)
        for test in folder["tests"]
        for answer in ("allow", "deny")
        for request in test.get(answer, [])
        if is_allowed(folder, test, request) != (answer == "allow")
    )


def said_to_fail(found: list[Json]) -> Counter[tuple[str, str]]:
    """By the answer that was expected, and the request at the place of the finding."""
    failed = Counter[tuple[str, str]]()
    for finding in found:
        if finding["code"] == "failed-test":
            line = Path(finding["file"]).read_text(encoding="utf-8").splitlines()[finding["line"] - 1]
            request = json.JSONDecoder().raw_decode(line[finding["column"] - 1 :])[0]
            failed[finding["message"].split()[3], request] += 1
    return failed


def expected(folder: Json) -> set[tuple[str, str]]:
    """The errors, by code and name."""
    dead = {("dead-rule", rule) for api in folder["apis"].values() for rule in dead_rules(api.get("rules") or {})}
    # guarantees are proved only where nothing else is wrong
    return dead or {("broken-guarantee", name) for api in folder["apis"].values() for name in broken(folder, api)}


def broken(folder: Json, api: Json) -> dict[str, str]:
    """The guarantees that do not hold, each with a request and a token that show it."""
    rules, guarantees = api.get("rules") or {}, api.get("guarantees") or {}
    items = [*rules.values(), *guarantees.values()]
    routes, methods = Routes(rules), methods_of(items)
    asked = {}
    for path in paths(items):
        matching = routes.at(path)
        guards = [
            (name, method, found[1], guarantee["only_when"])
            for name, guarantee in guarantees.items()
            for method, pattern in routes_of(guarantee)
            if matching and (found := match(pattern, path))
        ]
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
    """Other errors than failed tests."""
    return {
        (finding["code"], finding["message"].split("`")[1])
        for finding in found
        if finding["severity"] == "error" and finding["code"] != "failed-test"
    }


def compare(program: Path, case: Json, place: Path, tally: Counter[str]) -> None:
    folder = case["folder"]
    write(folder, place)
    found = findings(program, place)
    model, program_says = expected(folder), said(found)
    names = [(api, name) for api in folder["apis"].values() for name in api.get("guarantees") or {}]
    if any(code == "dead-rule" for code, _ in model):
        tally["dead rules"] += 1
        tests = Counter[tuple[str, str]]()
    else:
        tally["broken"] += len(model)
        tally["held"] += len(names) - len(model)
        tests = failing(folder)
        tally["tests failed"] += tests.total()
        tally["tests passed"] += (
            sum(len(test.get(answer, [])) for test in folder["tests"] for answer in ("allow", "deny")) - tests.total()
        )
    if model != program_says:
        shown = {name: why for api in folder["apis"].values() for name, why in broken(folder, api).items()}
        raise Difference(
            f"findings of {sorted({code for code, _ in model ^ program_says})}",
            f"by the model {sorted(model)}, by jeton {sorted(program_says)}; {shown}",
        )
    if tests != (by_program := said_to_fail(found)):
        raise Difference("tests", f"{tests} fail by the model, {by_program} by jeton")
