#!/usr/bin/env python3
"""Measures on this machine what the simulator says, at the largest size that fits, and compares both. README.md."""

import argparse
import random
import sys
import time
from pathlib import Path

from measuring import cut, folder, followers, store, turn
from measuring.report import Report
from measuring.servers import place
from simulator.costs import Costs

PARTS = ["folder", "followers", "turn", "store", "cut"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, help="a release build of jeton")
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], default=PARTS, help=f"default: {' '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--clients", type=int, default=1_000_000, help="of the large folder")
    parser.add_argument("--followers", type=int, default=1_000, help="of one server, and as many behind a cache")
    parser.add_argument("--minutes", type=float, default=6.0, help="for which they follow")
    parser.add_argument("--cut", type=float, default=60.0, help="seconds for which a region is cut off")
    parser.add_argument("--core", type=int, help="the core of the server, which is then a server of one worker")
    given = parser.parse_args()
    given.program = given.program.resolve()
    if not given.program.is_file():
        parser.error(f"{given.program} is no program")
    return given


def main():
    given = arguments()
    costs, report = Costs.read(), Report()
    print(f"seed {given.seed}: {' '.join(sys.argv)} --seed {given.seed}", flush=True)
    begun = time.monotonic()
    run = {
        "folder": lambda held: folder.measure(held, costs, report, given.clients, given.core),
        "followers": lambda held: followers.measure(held, costs, report, given.followers, given.minutes, given.seed, given.core),
        "turn": lambda held: turn.measure(held, report, given.seed, given.core),
        "store": lambda held: store.measure(held, costs, report, given.seed),
        "cut": lambda held: cut.measure(held, report, given.cut, given.seed),
    }
    for part in given.what:
        with place(str(given.program)) as held:
            run[part](held)
    report.show()
    for failure in report.failed:
        print(f"error: {failure}", file=sys.stderr)
    print(f"\n{len(report.rows)} figures, {len(report.failed)} failed, {time.monotonic() - begun:.0f} s, seed {given.seed}")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
