"""All requests and all tokens that a few rules can tell apart.

`requests` walks through every path over a small vocabulary, and `Tokens` holds every token over the scopes, roles, clients
and values that conditions name. A set of tokens is one whole number with a bit for each. So whether all tokens pass is
found by asking all of them, not by reasoning about which of them are enough.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cases import TooLarge
from decide import METHODS, Json, alternatives_of, claim_holds, claim_of, match

# a condition on a token without a path, as (kind, name, type, value)
Atom = tuple[str, str, str, Any]
# alternatives, of which each has clauses, of which each has atoms: one of these, all of these, one of these
Ground = tuple[tuple[tuple[Atom, ...], ...], ...]
PUBLIC: Ground = ((),)
NOBODY: Ground = ()
# two segments that no file names, so that they can differ
FRESH = ("some", "other")
# how many tokens are asked at most
MOST = 1 << 21


# --- paths


def routes_of(item: Json) -> list[tuple[str, str]]:
    return [tuple(route.split()) for route in item["routes"]]  # type: ignore[misc]


def conditions_of(requirement: Any) -> Iterator[tuple[str, Json]]:
    for alternative in alternatives_of(requirement):
        yield from alternative.get("claims", {}).items()


@dataclass(frozen=True)
class Pattern:
    parts: tuple[str, ...]  # without the empty one of a slash at the end
    compared: frozenset[str]  # parameters that a condition compares with a claim

    def takes(self, place: int, word: str) -> bool:
        """Whether a path can begin so. Whether it matches to its end, `decide.match` says."""
        part = self.parts[min(place, len(self.parts) - 1)] if self.parts else ""
        if part == "**":
            return True
        if place >= len(self.parts):
            return False
        ending = part.partition("}")[2]
        return word == part or part.startswith("{") and word.endswith(ending) and word != ending

    def compares(self, place: int) -> bool:
        return place < len(self.parts) and self.parts[place][1:].partition("}")[0] in self.compared


def patterns_of(items: Iterable[Json]) -> list[Pattern]:
    """Of rules and guarantees."""
    found = []
    for item in items:
        conditions = conditions_of(item.get("require") or item.get("only_when") or [])
        compared = {
            value for _, condition in conditions for operator, value in condition.items() if operator.endswith("_path")
        }
        for _, pattern in routes_of(item):
            found.append(Pattern(tuple(part for part in pattern[1:].split("/") if part), frozenset(compared)))
    return found


def compared_with_paths(items: Iterable[Json]) -> set[str]:
    """The claims, by the name of the whole claim."""
    return {
        steps_of(name)[0]
        for item in items
        for name, condition in conditions_of(item.get("require") or item.get("only_when") or [])
        if any(operator.endswith("_path") for operator in condition)
    }


def words_of(items: list[Json], texts: Iterable[str]) -> list[str]:
    """Each segment that a rule could treat unlike others. `texts` are further values of claims."""
    claims = compared_with_paths(items)
    parts = {part for pattern in patterns_of(items) for part in pattern.parts}
    endings = sorted({part.partition("}")[2] for part in parts if part.startswith("{")} - {""})
    values = {
        str(value) for item in items for value in values_of(item.get("require") or item.get("only_when") or [], claims)
    }
    named = {
        text for text in values | set(texts) if re.fullmatch(r"[^/\\%;?#\x00-\x1f\x7f-\x9f]+", text) and text.strip(".")
    }
    bases = [*FRESH, *sorted(named)]
    words = bases + sorted(part for part in parts if part != "**" and not part.startswith("{"))
    words += [base + ending for ending in endings for base in bases]
    words += [ending for ending in endings if any(ending != other and ending.endswith(other) for other in endings)]
    return list(dict.fromkeys(words))


def values_of(requirement: Any, claims: set[str]) -> Iterator[Any]:
    """The values with which conditions compare these claims, but for booleans, which no path equals."""
    for name, condition in conditions_of(requirement):
        for operator, value in condition.items():
            if steps_of(name)[0] in claims and not operator.endswith("_path"):
                yield from (one for one in (value if operator == "in" else [value]) if type(one) in (str, int))


def paths(items: list[Json], texts: Iterable[str] = ()) -> Iterator[list[str]]:
    """Segments of paths: one path for all that no rule can tell apart."""
    patterns, words = patterns_of(items), words_of(items, texts)
    deepest = 1 + max((len(pattern.parts) for pattern in patterns), default=0)

    def walk(begun: list[str], alive: list[Pattern]) -> Iterator[list[str]]:
        if begun:
            yield begun
        yield [*begun, ""]
        if len(begun) == deepest:
            return
        told_apart = set()
        for word in words:
            left = [pattern for pattern in alive if pattern.takes(len(begun), word)]
            # where nothing is compared, words that the same routes take are the same
            same = (tuple(map(id, left)), any(pattern.compares(len(begun)) for pattern in left) and word)
            if left and same not in told_apart:
                told_apart.add(same)
                yield from walk([*begun, word], left)

    yield from walk([], patterns)


def methods_of(items: Iterable[Json]) -> list[str]:
    """The methods that routes name, `HEAD`, and one for all others."""
    named = {method for item in items for method, _ in routes_of(item)} - {"ANY"} | {"HEAD"}
    return sorted(named) + [method for method in METHODS if method not in named][:1]


def covers(route_method: str, method: str) -> bool:
    return route_method in (method, "ANY") or (route_method, method) == ("GET", "HEAD")


class Routes:
    """The routes of one API, asked about many methods of one path."""

    def __init__(self, rules: Json):
        self.routes = [(method, pattern, name) for name, rule in rules.items() for method, pattern in routes_of(rule)]

    def at(self, segments: list[str]) -> list[tuple[Any, str, str, dict[str, str]]]:
        matched = [(match(pattern, segments), method, name) for method, pattern, name in self.routes]
        return [(one[0], method, name, one[1]) for one, method, name in matched if one]

    @staticmethod
    def decides(matching: list[tuple[Any, str, str, dict[str, str]]], method: str) -> tuple[str, dict[str, str]] | None:
        """The rule, and what the path has at the parameters."""
        fitting = [method, "GET", "ANY"] if method == "HEAD" else [method, "ANY"]
        found = [(places, fitting.index(by), name, parameters) for places, by, name, parameters in matching if by in fitting]
        return min(found, key=lambda one: one[:2])[2:] if found else None


def dead_rules(rules: Json) -> set[str]:
    """Those that decide no request."""
    routes, methods = Routes(rules), methods_of(rules.values())
    decided = set()
    for path in paths(list(rules.values())):
        matching = routes.at(path)
        decided |= {found[0] for method in methods if matching and (found := routes.decides(matching, method))}
    return set(rules) - decided


# --- what is asked of a token on one path


def grounded(requirement: Any, parameters: dict[str, str]) -> Ground:
    return tuple(tuple(clauses_of(alternative, parameters)) for alternative in alternatives_of(requirement))


def clauses_of(alternative: Json, parameters: dict[str, str]) -> Iterator[tuple[Atom, ...]]:
    for part, value in alternative.items():
        if part == "claims":
            for name, condition in value.items():
                yield from (claim_clause(name, operator, one, parameters) for operator, one in condition.items())
        elif part == "all_scopes":
            yield from ((("scope", name, "", ""),) for name in value)
        else:
            kind = part.removeprefix("any_")
            yield tuple((kind, name, "", "") for name in (value if isinstance(value, list) else [value]))


def claim_clause(name: str, operator: str, value: Any, parameters: dict[str, str]) -> tuple[Atom, ...]:
    if operator.endswith("_path"):
        text = parameters[value]
        values: list[Any] = [text]
        # a whole number is compared by its decimal digits
        if re.fullmatch("0|-?[1-9][0-9]*", text) and -(2**63) <= int(text) < 2**64:
            values.append(int(text))
    else:
        values = value if operator == "in" else [value]
    kind = "contains" if operator.startswith("contains") else "is"
    return tuple((kind, name, type(one).__name__, one) for one in values)


# --- tokens


MISSING = object()


def steps_of(name: str) -> list[str]:
    """The name of a claim, and the way into it."""
    if not name.startswith("/"):
        return [name]
    return [step.replace("~1", "/").replace("~0", "~") for step in name[1:].split("/")]


class Claim:
    """All that conditions can tell apart of one claim, or of a member of one."""

    def __init__(self) -> None:
        self.equal: dict[tuple[str, Any], Any] = {}
        self.contained: dict[tuple[str, Any], Any] = {}
        self.members: dict[str, Claim] = {}

    def learn(self, steps: list[str], atom: Atom) -> None:
        if steps:
            self.members.setdefault(steps[0], Claim()).learn(steps[1:], atom)
        else:
            (self.equal if atom[0] == "is" else self.contained)[atom[2:]] = atom[3]

    def values(self) -> list[Any]:
        members = {name: member.values() for name, member in self.members.items()}
        objects = [
            {name: value for name, value in zip(members, chosen, strict=True) if value is not MISSING}
            for chosen in itertools.product(*members.values())
        ]
        contained = list(self.contained.values())
        lists = [list(chosen) for size in range(5) for chosen in itertools.combinations(contained, size)]
        # the first of a list may also be what no condition names
        firsts = [None if value is MISSING else value for value in members.get("0", [])]
        lists += [[first, *rest] for first in firsts for rest in lists]
        return [MISSING, *self.equal.values(), *(one for one in objects + lists if one)]


class Tokens:
    """Every token over what `grounds` name, with roles that bring their scopes."""

    def __init__(self, roles: Json, grounds: Iterable[Ground]):
        atoms = {atom for ground in grounds for alternative in ground for clause in alternative for atom in clause}
        named = sorted({atom[1] for atom in atoms if atom[0] == "role"})
        scopes = sorted(
            {atom[1] for atom in atoms if atom[0] == "scope"} | {scope for role in named for scope in roles.get(role, [])}
        )
        clients = {atom[1] for atom in atoms if atom[0] == "client"}
        claims: dict[str, Claim] = {}
        for atom in atoms:
            if atom[0] in ("is", "contains"):
                root, *steps = steps_of(atom[1])
                claims.setdefault(root, Claim()).learn(steps, atom)
        # it is the id of a client
        subjects = {
            value
            for value in claims.pop("sub", Claim()).equal.values()
            if type(value) is str and re.fullmatch("[ -~]{1,512}", value)
        } | clients
        permissions = [
            (set(some), set(held))
            for some in subsets(scopes)
            for held in subsets(named)
            if all(scope in some for role in held for scope in roles.get(role, []))
        ]
        # a token of nobody, one that was exchanged and names whom it is about, or one of a client
        holders = [
            {},
            *({"sub": one, "exchanges": 1} for one in sorted(subjects)),
            *({"sub": one, "client_id": one} for one in sorted(clients)),
        ]
        self.names = ["permissions", "holder", *sorted(claims)]
        self.values: list[list[Any]] = [permissions, holders, *(claims[name].values() for name in sorted(claims))]
        self.masks: dict[Atom, int] = {}
        self.count = 1
        for values in self.values:
            self.count *= len(values)
        if self.count > MOST:
            raise TooLarge
        self.all = (1 << self.count) - 1

    def passing(self, ground: Ground) -> int:
        """The tokens for which an alternative holds."""
        passing = 0
        for alternative in ground:
            held = self.all
            for clause in alternative:
                one_of = 0
                for atom in clause:
                    one_of |= self.mask(atom)
                held &= one_of
            passing |= held
        return passing

    def mask(self, atom: Atom) -> int:
        if atom not in self.masks:
            self.masks[atom] = self.draw_mask(atom)
        return self.masks[atom]

    def draw_mask(self, atom: Atom) -> int:
        kind, name, _, value = atom
        if kind in ("scope", "role"):
            return self.where("permissions", lambda held: name in held[("scope", "role").index(kind)])
        if kind == "client":
            return self.where("holder", lambda holder: holder.get("client_id") == name)
        if name == "sub":
            return self.where("holder", lambda holder: claim_holds(holder.get("sub"), {kind: value}, {}))
        root = steps_of(name)[0]

        def holds(given: Any) -> bool:
            return given is not MISSING and claim_holds(claim_of({root: given}, name), {kind: value}, {})

        return self.where(root, holds)

    def where(self, name: str, holds: Any) -> int:
        """The tokens whose part of this name is so."""
        place = self.names.index(name)
        width = 1
        for values in self.values[place + 1 :]:
            width *= len(values)
        block = 0
        for number, value in enumerate(self.values[place]):
            if holds(value):
                block |= ((1 << width) - 1) << (number * width)
        width *= len(self.values[place])
        while width < self.count:  # the same for each value of the parts before
            block |= block << width
            width *= 2
        return block & self.all

    def example(self, tokens: int) -> Json:
        """One of a set."""
        index = (tokens & -tokens).bit_length() - 1
        token: Json = {}
        for name, values in reversed(list(zip(self.names, self.values, strict=True))):
            index, number = divmod(index, len(values))
            if values[number] is not MISSING:
                token[name] = values[number]
        scopes, roles = token.pop("permissions")
        return {"scopes": sorted(scopes), "roles": sorted(roles), **token.pop("holder"), "claims": token}


def that_passes(roles: Json, this: Ground, but_not: Ground) -> Json | None:
    """A token."""
    if this == NOBODY or but_not == PUBLIC:
        return None
    tokens = Tokens(roles, (this, but_not))
    found = tokens.passing(this) & ~tokens.passing(but_not)
    return tokens.example(found) if found else None


def subsets(items: list[str]) -> Iterator[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(items, size) for size in range(len(items) + 1))
