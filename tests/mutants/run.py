#!/usr/bin/env python3
"""Changes the program in small ways, one at a time, and asks whether a test fails.

    run.py [--package NAME]... [--file GLOB]... [--shard K/N | --sample N [--seed SEED]]

The changes are those of cargo-mutants. Prints each that no test sees, and what it tried. Ends with 1 if one of them is not
explained in explained.toml. README.md beside this file says more.
"""

import argparse
import fnmatch
import random
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

from build import Build
from listed import PACKAGES, all_mutants
from suites import suites_of, verdict

HERE = Path(__file__).resolve().parent
# the test programs that are asked about each package, the cheap ones first
OWN, WHOLE = ("--lib",), ("--test=it",)
TESTS = {
    "oauth": [("jeton-oauth", (*OWN, "--tests"))],
    "jose": [("jeton-jose", (*OWN, "--tests"))],
    "policy": [("jeton-policy", (*OWN, *WHOLE))],
    "verify": [("jeton-verify", (*OWN, "--tests")), ("jeton", WHOLE)],
    "grant": [("jeton", (*OWN, *WHOLE))],
}


def main():
    asked = arguments()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    files = asked.file or ["*"]
    built = [
        mutant for mutant in all_mutants()
        if mutant.package in asked.package and any(fnmatch.fnmatch(mutant.file, file) for file in files)
    ]
    chosen = choose(built, asked, seed)
    if not chosen:
        print("error: there is no such mutant", file=sys.stderr)
        return 2
    print(f"{len(chosen)} of {len(built)} mutants of {', '.join(asked.package)}"
          + (f"; seed {seed}" if asked.sample else ""), flush=True)
    build = Build(built)
    build.leave_out_what_does_not_compile()
    suites = learned(build, asked.package)
    explained = {each["mutant"] for each in tomllib.loads((HERE / "explained.toml").read_text())["survivor"]}
    results = test([mutant for mutant in chosen if mutant not in build.out], suites, explained)
    return tell(results, len(chosen) - len(results), explained)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", action="append", choices=PACKAGES, help="default: all")
    parser.add_argument("--file", action="append", help="such as 'crates/policy/src/space/*'; default: all of the packages")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--shard", type=shard, help="K/N: each Nth mutant from the Kth on, K from 0")
    which.add_argument("--sample", type=int, help="so many mutants, drawn by the seed")
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    asked.package = asked.package or list(PACKAGES)
    return asked


def shard(text):
    part, parts = map(int, text.split("/"))
    if not 0 <= part < parts:
        raise ValueError
    return part, parts


def choose(mutants, asked, seed):
    if asked.shard:
        part, parts = asked.shard
        return mutants[part::parts]
    if asked.sample:
        return random.Random(seed).sample(mutants, min(asked.sample, len(mutants)))
    return mutants


def learned(build, packages):
    """The suites of each package, each run once without a mutant."""
    by_program, found = {}, {}
    for package in packages:
        found[package] = []
        for crate, targets in TESTS[package]:
            if (crate, targets) not in by_program:
                programs = build.programs(crate, *targets)
                by_program[crate, targets] = [suite for program in programs for suite in suites_of(*program)]
                for suite in by_program[crate, targets]:
                    suite.learn()
            found[package] += by_program[crate, targets]
    return found


def test(mutants, suites, explained):
    """What became of each; what nobody explained is told at once."""
    results, told = {}, time.monotonic()
    for mutant in mutants:
        results[mutant] = word, test = verdict(mutant.number, suites[mutant.package])
        if word == "missed" and mutant.title not in explained:
            print(f"found: no test sees {mutant.name}" + (f" ({test})" if test else ""), flush=True)
        if word == "timeout":
            print(f"without an end in {test}: {mutant.name}", flush=True)
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"... {len(results)} of {len(mutants)}", flush=True)
    return results


def tell(results, left_out, explained):
    """Prints what was tried. 1 if something survived that nobody explained, or an explanation is about nothing."""
    missed = [mutant for mutant, (word, _) in results.items() if word == "missed"]
    unexplained = [mutant for mutant in missed if mutant.title not in explained]
    # a title may be that of several mutants
    stale = explained & {mutant.title for mutant in results} - {mutant.title for mutant in missed}
    for title in sorted(stale):
        print(f"found: explained.toml explains what a test sees: {title}")
    counts = Counter(word for word, _ in results.values())
    print(f"tried {len(results)} mutants: {counts['caught']} caught, {counts['timeout']} without an end, "
          f"{len(missed)} missed, of which {len(missed) - len(unexplained)} are explained; "
          f"{left_out} more have no switch")
    return 1 if unexplained or stale else 0


if __name__ == "__main__":
    sys.exit(main())
