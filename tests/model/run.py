#!/usr/bin/env python3
"""Compares the program with the model on random policy folders.

    run.py PROGRAM [--seed SEED] [--long] [--decisions N] [--guarantees N] [--diffs N] [--federations N] [--standings N]
           [--proofs N] [--case PART:NUMBER]

Without a number, a minute on two cores; with `--long`, a million decisions. Prints the seed, what was tried, and each
difference, made small. Returns 0 if the program and the model agree on everything, 1 if they do not or if the sample tests
too little, 2 for wrong use. Needs `cryptography` and `ruamel.yaml` of tests/interop/requirements.txt.
"""

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import decisions
import differences
import federated
import guarantees
import standing
from cases import Compare, difference_of, keep, smaller
from decide import Json

HERE = Path(__file__).resolve().parent
# how many differences are made small and shown
SHOWN = 3


@dataclass(frozen=True)
class Part:
    draw: Callable[[random.Random], Json]
    compare: Compare
    what: str
    short: int
    long: int
    each: int  # how much one case counts
    # what a sample must have, as parts of all that was counted
    must_have: tuple[tuple[str, float], ...]


PARTS = {
    "decisions": Part(
        decisions.draw,
        decisions.compare,
        "decisions",
        120_000,
        1_000_000,
        decisions.QUESTIONS,
        (
            ("met", 0.1),
            ("not-met", 0.1),
            ("no-route", 0.02),
            ("bad-path", 0.02),
            ("public", 0.01),
            ("no-token", 0.01),
            ("invalid-token", 0.02),
            ("not-bound", 0.005),
            ("bad-method", 0.002),
        ),
    ),
    "guarantees": Part(
        guarantees.draw,
        guarantees.compare,
        "folders with guarantees",
        1_000,
        10_000,
        1,
        (("held", 0.25), ("broken", 0.15), ("dead rules", 0.01), ("tests passed", 0.5), ("tests failed", 0.05)),
    ),
    "diffs": Part(
        differences.draw,
        differences.compare,
        "pairs of folders",
        1_000,
        10_000,
        1,
        (("widens", 0.05), ("narrows", 0.05), ("both", 0.05), ("neither", 0.1)),
    ),
    "federations": Part(
        federated.draw,
        federated.compare,
        "folders with federated clients",
        200,
        4_000,
        1,
        (("ambiguous", 0.1), ("unambiguous", 0.1), ("impossible", 0.05), ("one client", 0.02), ("no client", 0.1)),
    ),
    "standings": Part(
        standing.draw,
        standing.compare,
        "tokens shown to servers",
        1_000,
        20_000,
        standing.TOKENS,
        (("in force", 0.15), ("revoked", 0.15)),
    ),
}


def one(program: Path, seed: int, name: str, number: int) -> tuple[int, Counter[str], str | None]:
    part, tally = PARTS[name], Counter[str]()
    case = part.draw(random.Random(f"{seed} {name} {number}"))
    difference = difference_of(part.compare, program, case, tally)
    return number, tally, None if difference is None else f"{difference.kind}: {difference}"


def show(program: Path, seed: int, name: str, number: int) -> str:
    """A case and its difference, as small as they get, in a folder."""
    part = PARTS[name]
    case = part.draw(random.Random(f"{seed} {name} {number}"))
    if not (difference := difference_of(part.compare, program, case, Counter())):
        return "they agree"
    case = smaller(part.compare, program, case, difference.kind)
    left = difference_of(part.compare, program, case, Counter()) or difference
    folder = Path(tempfile.gettempdir()) / f"jeton-model-{seed}-{name}-{number}"
    keep(part.compare, program, case, folder)
    return f"{left.kind}: {left}\n  the case is in {folder}\n  {json.dumps(case)}"


def run_part(pool: Pool, program: Path, seed: int, name: str, wanted: int) -> bool:
    """Whether the program agrees with the model."""
    part, tally, different, started = PARTS[name], Counter[str](), [], time.monotonic()
    cases = -(-wanted // part.each)
    told = started
    for done, (number, counted, difference) in enumerate(
        pool.imap_unordered(partial(one, program, seed, name), range(cases), chunksize=1), 1
    ):
        tally += counted
        if difference:
            different.append(number)
            print(f"{name}:{number}: {difference[:500]}", flush=True)
        if time.monotonic() > told + 30:
            told = time.monotonic()
            print(f"... {name}: {done * part.each} of {wanted}, {len(different)} differ", flush=True)
    seconds = time.monotonic() - started
    counts = ", ".join(f"{what}: {times}" for what, times in tally.most_common())
    print(f"{name}: {cases * part.each} {part.what} in {seconds:.0f} s, {len(different)} differ\n  {counts}", flush=True)
    for number in sorted(different)[:SHOWN]:
        print(f"{name}:{number} made small: {show(program, seed, name, number)}")
        print(f"  again: python3 tests/model/run.py {program} --seed {seed} --case {name}:{number}", flush=True)
    poor = [
        f"only {tally[what]} of {cases * part.each} are {what}"
        for what, least in part.must_have
        if tally[what] < least * cases * part.each
    ]
    if tally["too large"] > 0.1 * cases:
        poor.append(f"{tally['too large']} are too large")
    for fault in poor:
        print(f"error: {name}: {fault}: this sample tests too little")
    return not different and not poor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--long", action="store_true", help="a million decisions, and ten thousand of each proof")
    for name in (*PARTS, "proofs"):
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--case", metavar="PART:NUMBER", help="one case alone")
    options = parser.parse_args()
    program = options.program.resolve()
    if not os.access(program, os.X_OK):
        print(f"error: {program} is no program", file=sys.stderr)
        return 2
    print(f"seed {options.seed}", flush=True)
    if options.case:
        name, _, number = options.case.partition(":")
        if name not in PARTS or not number.isdecimal():
            parser.error("a case is PART:NUMBER")
        shown = show(program, options.seed, name, int(number))
        print(f"{options.case}: {shown}")
        return int(shown != "they agree")
    agrees = True
    with Pool(len(os.sched_getaffinity(0))) as pool:
        for name, part in PARTS.items():
            given = getattr(options, name)
            wanted = given if given is not None else part.long if options.long else part.short
            agrees &= wanted == 0 or run_part(pool, program, options.seed, name, wanted)
    proofs = options.proofs if options.proofs is not None else 100_000 if options.long else 5_000
    if proofs:
        command = [sys.executable, HERE / "proofs.py", program, "--count", str(proofs), "--seed", str(options.seed)]
        agrees &= subprocess.run(command, check=False).returncode == 0
    print("the program and the model agree" if agrees else f"error: not everything holds; again: --seed {options.seed}")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
