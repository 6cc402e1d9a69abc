#!/usr/bin/env python3
"""Sends random proofs to a live server, and compares each answer with that of the model.

    proofs.py PROGRAM [--count N] [--seed SEED]      the jeton program

A third of the requests is right, and the others differ from a right one in one or two things. Prints the seed and each
difference, and returns 1 if there is one. Needs `cryptography` and `ruamel.yaml` of tests/interop/requirements.txt.
"""

import argparse
import math
import random
import secrets
import sys
import time
from collections import Counter
from pathlib import Path

from drafts import Draft, World
from mutants import MUTANTS
from possession import NotShown, Request, Seen, check

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

from live import place_of

# it depends on the moment
EITHER = "at a border of time"
# how many differences are shown in full
SHOWN = 20


class Judge:
    """The model, with what each API or gateway has seen."""

    def __init__(self):
        self.seen: dict[str, Seen] = {}

    def judge(self, draft: Draft, request: Request, moments: list[float]) -> tuple[str | None, Seen]:
        """Why the request is refused, or None, or `EITHER`; and what was seen if it was not."""
        seen, verdicts, use = self.seen.setdefault(draft.way.name, {}), set(), {}
        for now in moments:
            try:
                use = check(request, draft.token_claims(), draft.way.origin, now, seen, draft.way.bound_alone)
                # a server may forget what cannot be used again, and need not do so at once
                verdicts.add(EITHER if use.keys() & seen.keys() else None)
            except NotShown as why:
                verdicts.add(str(why))
        refusals = verdicts - {None, EITHER}
        if verdicts == {None} or verdicts == refusals:
            return verdicts.pop(), use
        return EITHER, use

    def learn(self, draft: Draft, use: Seen):
        self.seen[draft.way.name].update(use)


def draw(chance: random.Random, world: World, earlier: list[Draft]) -> Draft:
    if earlier and chance.random() < 0.1:
        return chance.choice(earlier).again(chance)
    draft = Draft(chance, world)
    for _ in range(chance.choice([0, 0, 1, 1, 1, 2])):
        mutate = chance.choice(MUTANTS)
        mutate(draft, chance, world)
        draft.story.append(mutate.__name__)
    return draft


def said_of(place) -> str:
    """What the server's log says last of a refusal."""
    [running] = place.running
    refusals = [line for line in running.log.read_text().splitlines() if "decision.denied" in line]
    return refusals[-1] if refusals else "it refused nothing yet"


def run(place, count: int, seed: int) -> int:
    chance = random.Random(seed)
    world = World.serve(place)
    judge, earlier, differences, tally = Judge(), [], 0, Counter()
    for number in range(count):
        draft = draw(chance, world, earlier)
        request = draft.request()
        before = time.time()
        status = draft.way.ask(request)
        after = time.time()
        verdict, use = judge.judge(draft, request, [math.floor(before), before, after, math.floor(after)])
        if status != 401:
            judge.learn(draft, use)
        earlier.append(draft)
        tally[verdict or "allowed"] += 1
        tally[status] += 1
        # 403: the policies were asked, and refuse the path
        if verdict == EITHER or status == (401 if verdict else 200) or (verdict is None and status == 403):
            continue
        differences += 1
        if differences <= SHOWN:
            print(f"{number}: {status}, by the model {verdict or 'allowed'}: {draft}\n  {said_of(place)}")
    print(", ".join(f"{what}: {times}" for what, times in sorted(tally.items(), key=lambda one: -one[1])))
    for must_be in (200, "allowed", "the proof was seen before", "another URL", "the signature"):
        if tally[must_be] < count / 100:
            sys.exit(f"error: only {tally[must_be]} of {count} are {must_be}: these requests test nothing")
    if differences:
        print(f"error: {differences} differences between the model and the server; again: --count {count} --seed {seed}")
        return 1
    print(f"model: {count} requests with the seed {seed}, as the server answers them")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--count", type=int, default=15000)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with place_of("proofs", str(options.program.resolve()), HERE / "policies") as place:
        return run(place, options.count, options.seed)


if __name__ == "__main__":
    sys.exit(main())
