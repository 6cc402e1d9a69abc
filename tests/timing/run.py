#!/usr/bin/env python3
"""Asks whether the time of an answer tells who exists.

    run.py PROGRAM [--short] [--samples N] [--assertions N] [--bound NS] [--seed SEED]

Sends refused requests of many classes over one kept connection: unknown client, wrong secret, disabled client and others.
Compares each class with a reference. Ends with 0 if every difference lies within the bound, and with 1 if one does not, or
if the difference that is planted in every run is not found. README.md beside this file says more.
"""

import argparse
import contextlib
import gc
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

import judge
from live import free_port, place_of
from wire import Connection, measure
from world import World, by_assertion, by_secret

# samples by secret, by assertion, and the bound
LONG, SHORT = (100_000, 100_000, 500), (2_000, 1_000, 2_500)
WARM_UP = 300
# so often the samples are doubled if an interval is too wide to say anything
MOST_DOUBLINGS = 2
ROUNDS_AT_ONCE = 500


class Found(Exception):
    """An answer that differs by more than its time."""


def main():
    asked = arguments()
    chance = random.Random(asked.seed)
    server_core, client_core = cores()
    print(f"seed {asked.seed}; server on core {server_core}, client on core {client_core}")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="jeton-timing-") as folder:
        world = World(Path(folder), chance, port)
        groups = [
            Group("by secret", by_secret(2 * asked.bound), world.requests, asked.samples, asked.bound),
            # four signatures are checked, which takes ten times as long
            Group("by assertion", by_assertion(20 * asked.bound), world.assertions, asked.assertions, 10 * asked.bound),
        ]
        world.write()
        os.sched_setaffinity(0, {server_core})
        with place_of("timing", asked.program, Path(folder)) as place:
            place.serve(port=port, **{
                "JETON__LIMITS__FAILURES": "off", "JETON__POLICIES__POLL": "0s", "JETON__LOG__FORMAT": "json",
            })
            os.sched_setaffinity(0, {client_core})
            log = place.running[0].log
            try:
                verdicts = [verdict for group in groups for verdict in group.run(port, chance, log)]
            except Found as found:
                print(f"found: {found}")
                return 1
    failed = [verdict for verdict in verdicts if verdict]
    for verdict in failed:
        print(f"found: {verdict}")
    if failed:
        print(f"again: python3 tests/timing/run.py {asked.program} --samples {asked.samples} "
              f"--assertions {asked.assertions} --bound {asked.bound} --seed {asked.seed}")
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=lambda path: str(Path(path).resolve(strict=True)))
    parser.add_argument("--short", action="store_true", help="half a minute, with the bound of a debug build")
    parser.add_argument("--samples", type=int, help="of each class at which a secret is shown")
    parser.add_argument("--assertions", type=int, help="of each class at which an assertion is shown")
    parser.add_argument("--bound", type=int, help="the largest difference that passes by secret, in nanoseconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    usual = SHORT if asked.short else LONG
    asked.samples, asked.assertions, asked.bound = (
        by_default if own is None else own
        for own, by_default in zip((asked.samples, asked.assertions, asked.bound), usual)
    )
    if min(asked.samples, asked.assertions) < 10 * judge.STRETCHES:
        parser.error(f"at least {10 * judge.STRETCHES} samples of each class")
    return asked


def cores():
    """Where the server and its client run: on cores of their own if there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[0]


class Group:
    """Classes that are compared with the first of them."""

    def __init__(self, name, kinds, requests, samples, bound):
        self.name, self.kinds, self.samples, self.bound = name, kinds, samples, bound
        self.pools = [requests(kind) for kind in kinds]
        if len({len(request) for pool in self.pools for request in pool}) != 1:
            raise AssertionError("the requests have several lengths")

    def run(self, port, chance, log):
        """Measures, prints the table, and yields what is found."""
        connection = Connection(port)
        self.look_alike(connection)
        planted = [kind.planted for kind in self.kinds]
        own, after = [[] for _ in self.kinds], [[] for _ in self.kinds]
        measure(connection, self.pools, planted, WARM_UP, chance)
        started, wanted = time.monotonic(), self.samples
        for _ in range(MOST_DOUBLINGS + 1):
            while len(own[0]) < wanted:
                rounds = min(ROUNDS_AT_ONCE, wanted - len(own[0]))
                with without_pauses():
                    for kept, more in zip((own, after), measure(connection, self.pools, planted, rounds, chance)):
                        for times, new in zip(kept, more):
                            times += new
                os.truncate(log, 0)  # it is opened for appending, and nobody reads it
            rows = self.compared(own, after)
            if all(self.says_something(low) for _, low, _ in rows):
                break
            wanted *= 2
        self.print(own, rows, time.monotonic() - started)
        return [self.verdict(kind, row) for kind, row in zip(self.kinds[1:], rows)]

    def look_alike(self, connection):
        """All answers are the same but for what names the moment or the request."""
        changing = re.compile(r"(?im)^(date|x-request-id):.*$")
        first = None
        for kind, pool in zip(self.kinds, self.pools):
            for request in pool[:8]:
                answer = changing.sub("", connection.learn(request))
                first = first or answer
                if answer != first or " 401 " not in answer:
                    raise Found(f"{kind.name} is answered otherwise than {self.kinds[0].name}:\n{answer}\n{first}")

    def compared(self, own, after):
        """For each class but the first: its own answers by both figures, and those behind it."""
        comparisons = 3 * (len(self.kinds) - 1)
        return [
            (
                judge.compare(own[at], own[0], judge.middle, comparisons),
                judge.compare(own[at], own[0], judge.low, comparisons),
                judge.compare(after[at], after[0], judge.middle, comparisons),
            )
            for at in range(1, len(self.kinds))
        ]

    def says_something(self, interval):
        """Whether it is clear on which side of the bound the difference lies."""
        return interval.is_within(self.bound) or interval.is_outside(self.bound)

    def verdict(self, kind, row):
        """What is found at a class; `None` if nothing is."""
        own, low, after = row
        if kind.planted:
            if low.is_outside(self.bound) and abs(low.mean - kind.planted) < self.bound + low.half:
                return None
            return f"{self.name}: the difference that was planted ({kind.planted} ns) is not found: {low} ns"
        for what, interval in (("", own), (" at its fastest", low), (" by the answer after it", after)):
            if interval.is_outside(self.bound):
                return f"{self.name}: `{kind.name}`{what} differs: {interval} ns, and {self.bound} ns are allowed"
        if not low.is_within(self.bound):
            return f"{self.name}: `{kind.name}` cannot be told to be the same: {low} ns, and {self.bound} ns are allowed"
        return None

    def print(self, own, rows, seconds):
        print(f"\n{self.name}: {len(own[0])} samples of each class in {seconds:.0f} s; "
              f"nanoseconds; each difference may be {self.bound}")
        head = ("class", "samples", "median", "middle half", "difference", "of the fastest", "of the next", "")
        table = [head]
        for at, (kind, times) in enumerate(zip(self.kinds, own)):
            count, median, middle = judge.summary(times)
            differences, verdict = ("", "", ""), "reference"
            if at:
                differences = tuple(map(str, rows[at - 1]))
                found = self.verdict(kind, rows[at - 1])
                verdict = "FOUND" if found else "found, as it must be" if kind.planted else "same"
            table.append((kind.name, str(count), f"{median:.0f}", f"{middle:.0f}", *differences, verdict))
        widths = [max(len(row[column]) for row in table) for column in range(len(head))]
        for row in table:
            first, *rest = row
            cells = [cell.rjust(width) for cell, width in zip(rest[:-1], widths[1:])]
            print("  ".join([first.ljust(widths[0]), *cells, rest[-1]]).rstrip(), flush=True)


@contextlib.contextmanager
def without_pauses():
    """No garbage is collected meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
