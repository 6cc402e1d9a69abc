"""Edits of a folder: some change who may do what, and some say the same in other words."""

import random
from typing import Any

from decide import Json, alternatives_of
from folders import (
    METHODS,
    copied,
    draw_api,
    draw_client,
    draw_claim,
    draw_condition,
    draw_pattern,
    draw_requirement,
    moment,
    parameters_of,
    shape,
    some,
    weighted,
)


def edited(chance: random.Random, folder: Json) -> Json:
    new = copied(folder)
    edits = SAME if chance.random() < 0.25 else EDITS
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(edits)(chance, new)
    return new


def a_rule(chance: random.Random, folder: Json) -> Json:
    return chance.choice([rule for api in folder["apis"].values() for rule in api["rules"].values()] or [{"routes": []}])


def an_alternative(chance: random.Random, folder: Json) -> Json:
    rules = [rule for api in folder["apis"].values() for rule in api["rules"].values() if "require" in rule]
    return chance.choice(alternatives_of(chance.choice(rules)["require"])) if rules else {}


def a_client(chance: random.Random, folder: Json) -> Json:
    return chance.choice(list(folder["clients"].values()) or [{}])


# --- edits that may change something


def other_requirement(chance: random.Random, folder: Json) -> None:
    rule = a_rule(chance, folder)
    if rule["routes"]:
        rule.pop("public", None)
        rule["require"] = draw_requirement(chance, folder, rule["routes"])


def one_condition_less(chance: random.Random, folder: Json) -> None:
    alternative = an_alternative(chance, folder)
    if len(alternative) > 1:
        alternative.pop(chance.choice(list(alternative)))


def one_alternative(chance: random.Random, folder: Json) -> None:
    rule = a_rule(chance, folder)
    if "require" in rule:
        alternatives = alternatives_of(rule["require"])
        more = alternatives_of(draw_requirement(chance, folder, rule["routes"]))
        rule["require"] = alternatives + more if chance.random() < 0.5 or len(alternatives) == 1 else alternatives[1:]


def other_value(chance: random.Random, folder: Json) -> None:
    alternative = an_alternative(chance, folder)
    for name, condition in alternative.get("claims", {}).items():
        paths = [value for operator, value in condition.items() if operator.endswith("_path")]
        alternative["claims"][name] = draw_condition(chance, paths, name)


def open_to_all(chance: random.Random, folder: Json) -> None:
    rule = a_rule(chance, folder)
    if rule.pop("require", None):
        rule["public"] = True


def one_rule_less(chance: random.Random, folder: Json) -> None:
    rules = chance.choice(list(folder["apis"].values()))["rules"]
    if len(rules) > 1:
        rules.pop(chance.choice(list(rules)))


def other_route(chance: random.Random, folder: Json) -> None:
    """One more, one less, or another method."""
    rule, kind = a_rule(chance, folder), chance.random()
    if not rule["routes"]:
        return
    route = chance.choice(rule["routes"])
    if kind < 0.3 and len(rule["routes"]) > 1:
        rule["routes"].remove(route)
        return
    new = f"{weighted(chance, METHODS)} {route.split()[1] if kind < 0.7 else draw_pattern(chance)}"
    wanted = {
        value
        for alternative in alternatives_of(rule.get("require", []))
        for condition in alternative.get("claims", {}).values()
        for operator, value in condition.items()
        if operator.endswith("_path")
    }
    taken = {shape(one) for api in folder["apis"].values() for other in api["rules"].values() for one in other["routes"]}
    if shape(new) not in taken and wanted <= set(parameters_of(new)):
        rule["routes"].append(new)


def one_api(chance: random.Random, folder: Json) -> None:
    name = chance.choice(("a", "b"))
    if name not in folder["apis"]:
        folder["apis"][name] = draw_api(chance, folder, name, 2)
    elif len(folder["apis"]) > 1 and not any(name in client.get("grants", {}) for client in folder["clients"].values()):
        folder["apis"].pop(name)


def other_grant(chance: random.Random, folder: Json) -> None:
    grants = a_client(chance, folder).setdefault("grants", {})
    drawn = {"roles": some(chance, folder["roles"], 0, 2), "scopes": some(chance, folder["scopes"], 0, 2)}
    api, grant = chance.choice(list(folder["apis"])), {name: names for name, names in drawn.items() if names}
    if grant:
        grants[api] = grant
    else:
        grants.pop(api, None)


def other_role(chance: random.Random, folder: Json) -> None:
    for role in some(chance, folder["roles"], 1, 1):
        folder["roles"][role] = some(chance, folder["scopes"], 0, 2)


def role_in_place_of_scope(chance: random.Random, folder: Json) -> None:
    """And a role that has the scope, perhaps only now."""
    alternative = an_alternative(chance, folder)
    if "scope" in alternative and "role" not in alternative and folder["roles"]:
        role = chance.choice(list(folder["roles"]))
        scopes = [*folder["roles"][role], alternative["scope"]]
        alternative["role"], folder["roles"][role] = role, list(dict.fromkeys(scopes))
        alternative.pop("scope")


def other_client(chance: random.Random, folder: Json) -> None:
    """A field of a client, or a client more."""
    client, kind = a_client(chance, folder), chance.randrange(6)
    if kind == 0:
        client.setdefault("claims", {})[chance.choice(("t", "u"))] = draw_claim(chance)
    elif kind == 1:
        client["enabled"] = client.get("enabled") is False
    elif kind == 2:
        client["anonymous"] = not client.get("anonymous")
    elif kind == 3:
        client["bound_tokens"] = not client.get("bound_tokens")
    elif kind == 4:
        client["revoked_before"] = moment(-chance.choice((1800, 3600, 9000)))
    else:
        folder["clients"].setdefault("new", draw_client(chance, folder))


def one_binding(chance: random.Random, folder: Json) -> None:
    api = chance.choice(list(folder["apis"].values()))
    api["bound_tokens"] = not api.get("bound_tokens")


def other_tokens(chance: random.Random, folder: Json) -> None:
    folder["revoked_tokens"] = some(chance, ("j1", "j2", "j3"))


# --- edits that say the same


def in_place_of_is(chance: random.Random, folder: Json) -> None:
    for condition in an_alternative(chance, folder).get("claims", {}).values():
        if "is" in condition and "in" not in condition:
            condition["in"] = [condition.pop("is")] * chance.choice((1, 2))


def pointer_in_place_of_name(chance: random.Random, folder: Json) -> None:
    claims = an_alternative(chance, folder).get("claims", {})
    if "t" in claims and "/t" not in claims:
        claims["/t"] = claims.pop("t")


def alternatives_in_place_of_any(chance: random.Random, folder: Json) -> None:
    rule = a_rule(chance, folder)
    split: list[Json] = []
    for alternative in alternatives_of(rule.get("require", [])):
        names = alternative.get("any_scope", [])
        if names and "scope" not in alternative:
            rest = {name: value for name, value in alternative.items() if name != "any_scope"}
            split += [{**rest, "scope": scope} for scope in names]
        else:
            split.append(alternative)
    if split:
        chance.shuffle(split)
        rule["require"] = split


def scope_of_role(chance: random.Random, folder: Json) -> None:
    """A role comes with its scopes, so to ask for them too asks for nothing more."""
    alternative = an_alternative(chance, folder)
    if (role := alternative.get("role")) and folder["roles"][role] and "all_scopes" not in alternative:
        alternative["all_scopes"] = list(folder["roles"][role])


def narrower_alternative(chance: random.Random, folder: Json) -> None:
    """Who passes it passes another one."""
    rule = a_rule(chance, folder)
    if "require" in rule:
        alternatives = alternatives_of(rule["require"])
        narrower = {**chance.choice(alternatives), "all_scopes": list(folder["scopes"])}
        if "all_scopes" not in narrower or all("all_scopes" not in one for one in alternatives):
            rule["require"] = [*alternatives, narrower]


def other_parameter(chance: random.Random, folder: Json) -> None:
    rule = a_rule(chance, folder)
    text = repr((rule["routes"], rule.get("require")))
    if "_path" not in text:
        rule["routes"] = [route.replace("{p}", "{renamed}") for route in rule["routes"]]


def every_method(chance: random.Random, folder: Json) -> None:
    """`ANY` is all of them, and `GET` stands for `HEAD` too."""
    rules = chance.choice(list(folder["apis"].values()))["rules"]
    for rule in rules.values():
        for route in list(rule["routes"]):
            method, pattern = route.split()
            others = [
                one
                for other in rules.values()
                for one in other["routes"]
                if one != route and shape(one.split()[1]) == shape(pattern)
            ]
            if method == "ANY" and not others:
                rule["routes"].remove(route)
                rule["routes"] += [f"{one} {pattern}" for one in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")]
                return


def other_order(chance: random.Random, folder: Json) -> None:
    def shuffled(items: Any) -> Any:
        items = list(items.items())
        chance.shuffle(items)
        return dict(items)

    folder["clients"] = shuffled(folder["clients"])
    for api in folder["apis"].values():
        api["rules"] = shuffled(api["rules"])
        for rule in api["rules"].values():
            chance.shuffle(rule["routes"])


EDITS = (
    other_requirement,
    other_requirement,
    one_condition_less,
    one_condition_less,
    one_alternative,
    one_alternative,
    other_value,
    other_value,
    open_to_all,
    one_rule_less,
    other_route,
    other_route,
    other_route,
    one_api,
    other_grant,
    other_grant,
    other_role,
    role_in_place_of_scope,
    role_in_place_of_scope,
    other_client,
    other_client,
    one_binding,
    other_tokens,
)
SAME = (
    in_place_of_is,
    pointer_in_place_of_name,
    alternatives_in_place_of_any,
    scope_of_role,
    narrower_alternative,
    other_parameter,
    every_method,
    other_order,
)
