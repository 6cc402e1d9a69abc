#!/usr/bin/env python3
"""Builds the fuzz targets and runs them, each from its corpus in `corpus/` and from what earlier runs kept.

    fuzz/run.py --minutes 1 --jobs 2        all targets, for a minute together
    fuzz/run.py --minutes 5 jws words       these alone

Exits with 1 if a target found something: the input lies in `artifacts/`, and the command that repeats it is printed.
"""

import argparse
import dataclasses
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ARTIFACTS = HERE / "artifacts"
# what a single input may take
SECONDS, MEBIBYTES = 10, 1024
SEEDS = 2**31


@dataclasses.dataclass
class Result:
    """What came of a target."""

    target: str
    seed: int
    executions: int
    edges: tuple[int, int]
    new: int
    again: str | None


class NotRun(Exception):
    """A program that is no fuzz target, or that somebody ended."""


def arguments():
    targets = sorted(path.stem for path in (HERE / "targets").glob("*.rs"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, required=True, help="how long all of it runs, after the build")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="how many targets run at once")
    parser.add_argument("--seed", type=int, default=random.randrange(1, SEEDS), help="default: a random one")
    parser.add_argument("--built", action="store_true", help="take the programs as they are")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(targets)}")
    given = parser.parse_args()
    unknown = [target for target in given.targets if target not in targets]
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}")
    given.targets = given.targets or targets
    given.seconds = round(given.minutes * 60 * given.jobs / len(given.targets))
    if given.seconds < 1:
        parser.error(f"{len(given.targets)} targets need longer: each runs for whole seconds")
    if not 0 < given.seed < SEEDS:
        parser.error(f"a seed lies between 0 and {SEEDS}")
    return given


def build(environment):
    """Builds all targets, as `.cargo/config.toml` says, which counts in this folder alone. Whether that went well."""
    began = time.monotonic()
    done = subprocess.run(["cargo", "build", "--release", "--locked"], cwd=HERE, env=environment, check=False)
    print(f"built in {time.monotonic() - began:.0f} s" if done.returncode == 0 else "not built", flush=True)
    return done.returncode == 0


class Targets:
    """The programs, run one after the other or two at once."""

    def __init__(self, given, folder, programs):
        self.given, self.folder, self.programs = given, folder, programs
        self.running, self.lock, self.stopped = set(), threading.Lock(), False

    def run(self, target):
        seed = (self.given.seed + self.given.targets.index(target)) % SEEDS or 1
        kept, log = self.folder / "corpus" / target, self.folder / "logs" / f"{target}.log"
        for made in (kept, log.parent, ARTIFACTS):
            made.mkdir(parents=True, exist_ok=True)
        before = sum(1 for _ in kept.iterdir())
        command = [
            self.programs / target,
            f"-seed={seed}",
            f"-max_total_time={self.given.seconds}",
            f"-timeout={SECONDS}",
            f"-rss_limit_mb={MEBIBYTES}",
            f"-artifact_prefix={ARTIFACTS}/{target}-",
            "-print_final_stats=1",
            kept,
            HERE / "corpus" / target,
        ]
        with open(log, "wb") as output:
            with self.lock:
                if self.stopped:
                    return None
                process = subprocess.Popen(command, cwd=HERE, stdout=output, stderr=subprocess.STDOUT)
                self.running.add(process)
            code = process.wait()
            self.running.discard(process)
        if self.stopped:
            return None
        text = log.read_text(errors="replace")
        if not re.search(r"^INFO: Loaded 1 modules +\([1-9]", text, re.M):
            raise NotRun(f"{target} was built without counters of coverage: {text[-400:]}")
        # what libFuzzer finds ends with a code of its own
        if code < 0:
            raise NotRun(f"{target} was ended by {signal.Signals(-code).name}")
        numbers = {name: int(number) for name, number in re.findall(r"^stat::(\w+): +(\d+)", text, re.M)}
        progress = re.findall(r"^#(\d+)\s+(\w+)\s+cov: (\d+)", text, re.M)
        edges = [int(covered) for _, what, covered in progress if what == "INITED"]
        edges += [int(covered) for _, _, covered in progress]
        again = None
        if code != 0:
            unit = re.search(r"Test unit written to (\S+)", text)
            again = f"{self.programs / target} {unit[1] if unit else command[-1]}"
            print(said(text), flush=True)
        return Result(
            target=target,
            seed=seed,
            # where a target ended by a finding, the last line that says how far it was
            executions=numbers.get("number_of_executed_units", int(progress[-1][0]) if progress else 0),
            edges=(edges[0], edges[-1]) if edges else (0, 0),
            new=sum(1 for _ in kept.iterdir()) - before,
            again=again,
        )

    def stop(self):
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.send_signal(signal.SIGTERM)


def said(text):
    """What a target says of its finding: the message, and of the stack what is its own."""
    start = re.search(r"^(thread .* panicked|==\d+== ?ERROR)", text, re.M)
    return text[start.start() :][:4000] if start else text[-4000:]


def main():
    given = arguments()
    for program in ("cargo", "rustc"):
        if shutil.which(program) is None:
            print(f"`{program}` is absent", file=sys.stderr)
            return 2
    environment = {name: value for name, value in os.environ.items() if not name.endswith("RUSTFLAGS")}
    folder = pathlib.Path(environment.setdefault("CARGO_TARGET_DIR", str(HERE / "target"))).resolve()
    if not given.built and not build(environment):
        return 2
    host = subprocess.run(["rustc", "--print", "host-tuple"], capture_output=True, text=True, check=True)
    targets = Targets(given, folder, folder / host.stdout.strip() / "release")
    count = len(given.targets)
    print(f"seed {given.seed}: {count} targets for {given.seconds} s each, {given.jobs} at once")
    print(f"{'target':20} {'seed':>10} {'executions':>12} {'edges':>15} {'new inputs':>10}", flush=True)
    began, results, faults = time.monotonic(), [], []
    left = queue.SimpleQueue()
    for target in given.targets:
        left.put(target)

    def work():
        while True:
            try:
                result = targets.run(left.get_nowait())
            except queue.Empty:
                return
            except (NotRun, OSError) as error:
                faults.append(str(error))
                return
            if result is None:
                return
            results.append(result)
            edges = f"{result.edges[0]:,} > {result.edges[1]:,}"
            print(
                f"{result.target:20} {result.seed:>10} {result.executions:>12,} {edges:>15} {result.new:>10,}"
                f"{'  FOUND SOMETHING' if result.again else ''}",
                flush=True,
            )

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    workers = [threading.Thread(target=work) for _ in range(given.jobs)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        targets.stop()
        for worker in workers:
            worker.join()
        return 130
    found = [result for result in results if result.again]
    print(
        f"{sum(result.executions for result in results):,} executions of {len(results)} targets in "
        f"{time.monotonic() - began:.0f} s, {sum(result.new for result in results):,} new inputs, "
        f"{len(found)} findings"
    )
    for result in found:
        print(f"{result.target} found something. Again: {result.again}")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 2 if faults else 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
