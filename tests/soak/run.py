#!/usr/bin/env python3
"""An hour at 80 % of saturation, with a mixture of everything: see README.md.

    run.py PROGRAM [--minutes 60] [--seed S] [--series FILE] [--chart FILE]

Returns 0 if all held, 1 if something did not, 2 where a program is absent or the use is wrong.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter

import chart
from changes import Changes
from hostile import BURST, CYCLE
from place import Place
from policies import Keys
from verdict import LONG, judge, percentile
from watch import Watch
from workers import PROBES, Worker, attackers, crowd, probe

SHARE = 0.8
# of the held rate, while there is a burst
HOSTILE_SHARE = 0.08
PARTS = {"50": 0.5, "99": 0.99, "99.9": 0.999}
# how often a key is made, and how often in a run of some minutes
ROTATION, SHORT_ROTATION = 60.0, 20.0


def arguments():
    parser = argparse.ArgumentParser(description="An hour at 80 % of saturation, with a mixture of everything.")
    parser.add_argument("program", help="the jeton to run, such as target/release/jeton")
    parser.add_argument("--minutes", type=float, default=60, help="for how long the rate is held; 1 at least")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--series", help="writes what was seen, second by second, as JSON")
    parser.add_argument("--chart", help="draws it, as SVG")
    options = parser.parse_args()
    if options.minutes < 1:
        parser.error("less than a minute shows nothing")
    if shutil.which(options.program) is None:
        parser.error(f"{options.program} is no program")
    return options


class Driver:
    """Starts everything, holds the rate, and writes down each second."""

    def __init__(self, place, options):
        self.place, self.options = place, options
        self.watch = Watch(place)
        # whole seconds are the same for all processes
        self.begin = float(int(time.monotonic()) + 2)
        ports = {"jeton": place.port, "nginx": place.gateway}
        self.workers = {
            work.__name__: Worker(work, ports, place.keys, options.seed + number, self.begin)
            for number, work in enumerate([crowd, probe, attackers])
        }
        self.counts = {name: Counter() for name in self.workers}
        self.kinds = {name: Counter() for name in self.workers}
        self.failed = {name: [] for name in self.workers}
        self.told = {}

    def run(self):
        saturation = self.saturate()
        rate = saturation["ended"] * SHARE
        print(f"saturation: {saturation['asked']:,.0f} requests a second in {saturation['ended']:,.0f} jobs; "
              f"now {rate:,.0f} jobs a second for {self.options.minutes:g} min", flush=True)
        self.workers["crowd"].order(rate)
        self.workers["attackers"].order(rate * HOSTILE_SHARE)
        seconds = self.hold()
        for name, worker in self.workers.items():
            for report in worker.stop():
                self.take(name, report)
        self.changes.stop()
        self.watch.log.read()
        end = self.place.stop()
        for second in seconds:
            self.join(second)
        return {
            "minutes": self.options.minutes, "seed": self.options.seed, "cycle": int(CYCLE), "burst": BURST, "rate": rate,
            "saturation": saturation, "seconds": seconds, "counts": self.counts, "kinds": self.kinds, "failed": self.failed,
            "changes": {name: getattr(self.changes, name) for name in (
                "edits", "rejected", "rotations", "lines", "dropped", "most_keys", "failures")},
            "marks": [[what, at - self.start] for what, at in self.changes.marks], "metrics": self.watch.metrics,
            "log": {"bad": self.watch.log.bad, "warnings": dict(self.watch.log.warnings), "size": self.watch.log.size},
            "end": end,
        }

    def saturate(self):
        """As many as the server answers, while everything else is what it will be later."""
        self.changes = Changes(self.place, self.begin, ROTATION if self.options.minutes >= LONG else SHORT_ROTATION)
        self.changes.start()
        self.workers["crowd"].order(None)
        # until caches are full and pools are filled
        first = self.measure(self.begin, CYCLE)
        self.workers["probe"].order(PROBES)
        self.workers["attackers"].order(first["ended"] * SHARE * HOSTILE_SHARE)
        cycles = max(1, min(6, round(self.options.minutes / 3)))
        return self.measure(self.begin + CYCLE, cycles * CYCLE)

    def measure(self, start, seconds):
        """What was answered from then on, and how much of its core the server took."""
        self.sleep_until(start)
        self.collect()
        cpu, asked, ended = self.watch.cpu(), self.counts["crowd"]["asked"], self.counts["crowd"]["ended"]
        self.sleep_until(start + seconds)
        self.collect()
        after = self.watch.cpu()
        ran, waited, took = (later - earlier for earlier, later in zip(cpu, after))
        return {"cpu": ran / took, "wanted": min(1.0, (ran + waited) / took),
                "asked": (self.counts["crowd"]["asked"] - asked) / seconds,
                "ended": (self.counts["crowd"]["ended"] - ended) / seconds}

    @staticmethod
    def sleep_until(moment):
        time.sleep(max(0.0, moment - time.monotonic()))

    def hold(self):
        # the verdict counts in the cycles of the attackers; one passes until the rate is steady
        self.start = self.begin + CYCLE * (2 + (time.monotonic() - self.begin) // CYCLE)
        self.sleep_until(self.start)
        self.collect()
        self.watch.sample(0)
        seconds, count = [], round(self.options.minutes * 60)
        for number in range(count):
            self.sleep_until(self.start + number + 1)
            if self.place.server.poll() is not None:
                self.watch.log.read()
                code, said = self.place.server.returncode, self.watch.log.bad
                sys.exit(f"error: the server ended by itself, with exit code {code}, after {number} s: {said}")
            self.collect()
            taken = self.watch.sample(number)
            seconds.append(taken | {"second": int(self.start) + number})
            if (number + 1) % max(10, count // 60) == 0:
                self.progress(number + 1, taken)
        return seconds

    def collect(self):
        for name, worker in self.workers.items():
            if not worker.process.is_alive():
                sys.exit(f"error: the process `{name}` ended by itself")
            for report in worker.told():
                self.take(name, report)

    def take(self, name, report):
        counts = self.counts[name]
        counts.update(asked=report["asked"], failures=report["failures"], ended=sum(report["ended"].values()))
        self.kinds[name].update(report["ended"])
        self.failed[name] += report["failed"][:max(0, 200 - len(self.failed[name]))]
        self.told.setdefault(report["at"], {})[name] = report

    def join(self, second):
        """What the workers told of a second, to what was seen of the server."""
        told = self.told.get(second["second"], {})
        for name in self.workers:
            report = told.get(name)
            second[f"{name}_asked"] = report["asked"] if report else 0
            second[f"{name}_failed"] = report["failures"] if report else 0
        second["ended"] = sum(told["crowd"]["ended"].values()) if "crowd" in told else 0
        second["latency"] = told["probe"]["latency"] if "probe" in told else []
        second["late"] = told["probe"]["late"] if "probe" in told else 0

    def progress(self, number, taken):
        counts = self.counts
        recent = [t for second in range(int(self.start) + number - 12, int(self.start) + number)
                  for t in self.told.get(second, {}).get("probe", {}).get("latency", [])]
        times = "/".join(f"{percentile(recent, part) * 1000:.2f}" for part in (0.5, 0.99))
        print(f"{number:5} s: {counts['crowd']['asked']:,} right requests, {counts['crowd']['failures']} failed; "
              f"{counts['attackers']['asked']:,} hostile; {taken['resident'] / 2**20:.1f} MiB, "
              f"{taken['descriptors']} descriptors ({taken['stray']} stray), {taken['threads']} threads, "
              f"{taken['cpu']:.0%} of a core; probe {times} ms", flush=True)


def report(run):
    counts, seconds = run["counts"], run["seconds"]
    latency = [t for second in seconds for t in second["latency"]]
    late = sum(second["late"] for second in seconds)
    print(f"\nright jobs: {dict(sorted(run['kinds']['crowd'].items()))}")
    print(f"hostile jobs: {dict(sorted(run['kinds']['attackers'].items()))}")
    print(f"metrics: {run['metrics']}")
    times = ", ".join(f"p{name} {percentile(latency, part) * 1000:.2f} ms" for name, part in PARTS.items())
    print(f"probe: {len(latency):,} answers, {times}, most {max(latency, default=0) * 1000:.1f} ms; {late:,} more were late")
    print(f"server: {sum(second['cpu'] for second in seconds) / len(seconds):.0%} of its core, at most "
          f"{max(second['descriptors'] for second in seconds)} descriptors and "
          f"{max(second['resident'] for second in seconds) / 2**20:.1f} MiB; "
          f"{counts['crowd']['asked'] + counts['probe']['asked']:,} right requests, "
          f"{counts['attackers']['asked']:,} hostile\n")
    for name in counts:
        for at, kind, why in run["failed"][name]:
            print(f"{name}: {time.strftime('%H:%M:%S', time.gmtime(at))} {kind}: {why}")
    for at, what, why in run["changes"]["failures"]:
        print(f"changes: {time.strftime('%H:%M:%S', time.gmtime(at))} {what}: {why}")


def main():
    options = arguments()
    # what runs ends with this program
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"seed {options.seed}", flush=True)
    with Place(options.program, Keys()) as place:
        run = Driver(place, options).run()
    report(run)
    findings = list(judge(run))
    for finding in findings:
        print(finding)
    if options.series:
        with open(options.series, "w", encoding="utf-8") as file:
            json.dump(run, file)
    if options.chart:
        with open(options.chart, "w", encoding="utf-8") as file:
            file.write(chart.draw(run))
    failed = sum(not finding.holds for finding in findings)
    print(f"{len(findings) - failed} of {len(findings)} held; "
          f"repeat it with --minutes {options.minutes:g} --seed {options.seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
