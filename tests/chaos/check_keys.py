"""No key signs before whoever holds a key set can have it, and each live token has its key in the set."""

from collections import defaultdict

from disturbed import SKEW


def keys(history, disturbed):
    wall = history.world["wall"]
    tokens, seen = defaultdict(list), {}
    for op in history.ops:
        issued = op["kind"].startswith("token.") and op["status"] == 200
        if issued and not disturbed.wild[op["at"]].meet(op["begin"], op["end"]):
            tokens[op["kid"]].append(op)
        for kid in [*op.get("kids", []), *([op["kid"]] if "kid" in op else [])]:
            seen[kid] = min(seen.get(kid, op["begin"]), op["begin"])
    # a key that a replica made while its clock was wrong is published by that clock
    fair = [kid for kid in tokens if not disturbed.any_wild.meet(seen[kid] - history.world["poll"] - 2, seen[kid])]
    for held in history.of_kind("jwks"):
        at, begin = held["at"], held["begin"]
        if held["status"] != 200 or disturbed.wild[at].meet(begin, held["end"]) or disturbed.keys[at].meet(begin, held["end"]):
            continue
        for kid in set(fair) - set(held["kids"]):
            for token in tokens[kid]:
                both = max(token["end"], begin)
                if token["end"] < begin + held["max_age"] and wall + both < token["exp"] - SKEW:
                    yield f"a token of key {kid} could not be verified by a key set that was held", [held, token]
                    break


def offline(history, disturbed):
    """What a service that holds a key set says of tokens."""
    for op in history.of_kind("offline"):
        if op["outcome"] == "bad-signature":
            yield "a token has a bad signature", [op]
        if op["outcome"] == "unknown-key" and not (
            disturbed.wild[op["by"]].meet(op["begin"] - 5, op["end"])
            or disturbed.wild[op["at"]].meet(op["held"] - 2, op["held"])
            or disturbed.keys[op["at"]].meet(op["held"] - 1, op["held"])
            or disturbed.any_wild.meet(0, op["end"])
        ):
            yield "a service held a key set without the key of a token", [op]
