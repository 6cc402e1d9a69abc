"""What is good once is taken once: assertions, DPoP proofs, refresh tokens."""

import math
from collections import defaultdict

from disturbed import CLOCK


def once(history, disturbed):
    """No assertion and no proof is taken twice, at whatever replicas."""
    uses = defaultdict(list)
    for op in history.ops:
        for name in op.get("once", []):
            uses[name].append(op)
    for name, ops in uses.items():
        taken = [op for op in ops if op["status"] == 200]
        for first, again in zip(taken, taken[1:], strict=False):
            if not disturbed.forgot(first, again):
                yield f"{name} was taken twice", [first, again]
        # what was under way for so long may be too old by a clock that is ahead; and who asked last may have been one of two,
        # of whom the other was not noted
        if ops[0]["end"] < history.ended - 4:
            yield from _refused_wrongly(name, ops, disturbed, history.world["leeway"] - 3)


def _refused_wrongly(name, ops, disturbed, longest):
    """Whoever uses it first, and alone, is not told that it was used."""
    first = ops[0]
    alone = all(other["begin"] > first["end"] for other in ops[1:]) and first["end"] - first["begin"] < longest
    if alone and first["status"] in (400, 401) and not disturbed.wild[first["at"]].meet(first["begin"], first["end"]):
        yield f"{name} was refused at its first use", [first]


def refresh(history, disturbed):
    """A refresh token is taken again within the grace only, and before its successor was; an ended family stays ended."""
    families = defaultdict(list)
    ended = defaultdict(list)
    expire = {}
    for op in history.ops:
        if op["kind"] == "token.first" and op["status"] == 200 and "brought" in op:
            expire[op["brought"].rsplit(".", 1)[0]] = op["iat"] + history.world["refresh_ttl"] - history.world["wall"]
        if op["kind"] == "token.refresh":
            families[op["refreshed"].rsplit(".", 1)[0]].append(op)
        if op["kind"] == "revoke" and "." not in op["ends"] and disturbed.ended(op):
            ended[op["ends"]].append(op)
    for family, ops in families.items():
        expires = expire.get(family, math.inf)
        yield from _family(family, ops, ended[family], expires, history.world["grace"], disturbed)


def _family(family, ops, revoked, expires, grace, disturbed):
    taken = defaultdict(list)
    for op in ops:
        if op["status"] == 200:
            taken[op["refreshed"]].append(op)
    ends = list(revoked)
    for op in ops:
        if op["status"] == 200 and op["begin"] > expires + CLOCK and not disturbed.wild[op["at"]].meet(op["begin"], op["end"]):
            yield f"family {family} outlived its time", [op]
        first = min(taken[op["refreshed"]], key=lambda one: one["end"], default=None)
        late = first is not None and op["begin"] > first["end"] + grace
        followed = next((one for one in taken[_successor(op["refreshed"])] if one["end"] < op["begin"]), None)
        witness = first if late else followed
        if witness is None or disturbed.forgot(witness, op):
            continue
        if op["status"] == 200:
            yield f"refresh token {op['refreshed']} was taken again {'too late' if late else 'behind its successor'}", [witness, op]
        elif op["status"] == 400 and not disturbed.wild[op["at"]].meet(op["begin"], op["end"]):
            # a clock that is ahead finds the family expired, and says so, which ends nothing
            if op["end"] < expires - CLOCK:
                ends.append(op)
    for end in ends:
        for op in ops:
            if op["status"] == 200 and op["begin"] > end["end"] and not disturbed.forgot(end, op):
                yield f"family {family} went on after its end", [end, op]
                break


def _successor(token):
    family, generation = token.rsplit(".", 1)
    return f"{family}.{int(generation) + 1}"
