"""Three replicas under faults: `python3 tests/chaos/run.py PROGRAM`. README.md beside this says what is done and checked."""

import argparse
import collections
import concurrent.futures
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checker import check, report
from history import History

HERE = Path(__file__).resolve().parent
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PROGRAMS = ["redis-server", "nginx", "ip", "iptables", "unshare", "nsenter"]
# what the worlds import
PACKAGES = {"jwt": "PyJWT", "cryptography": "cryptography"}
ALGORITHMS = ["RS256", "ES256", "EdDSA"]


def need_all(program):
    """What is absent is an error: a world without it would show nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if not FAKETIME.exists():
        absent.append("libfaketime")
    absent += [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "namespaces and disks of its own need root"
    return None if os.access(program, os.X_OK) else f"{program} cannot be run"


def first_keys(program, folder):
    """One key for each algorithm, which every world copies."""
    for algorithm in ALGORITHMS:
        environment = os.environ | {"JETON__KEYS__DIR": str(folder / algorithm), "JETON__KEYS__ALGORITHM": algorithm}
        subprocess.run([program, "keys", "generate"], env=environment, cwd=folder, check=True, capture_output=True)


def one_run(program, keys, folder, seed, seconds, running):
    """A world in namespaces of its own. All that it started ends with it. What went wrong with the world itself, if anything."""
    folder.mkdir()
    command = [
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        sys.executable, str(HERE / "world.py"), str(program), str(folder), str(keys), str(seed), str(seconds),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as world:
        running.append(world)
        try:
            said, _ = world.communicate(timeout=seconds + 90)
        except subprocess.TimeoutExpired:
            world.kill()
            return "it did not end"
    return None if world.returncode == 0 else said[-6000:]


class Figures:
    """What was tried, over all runs."""

    def __init__(self):
        self.runs, self.ops, self.starved = 0, 0, 0
        self.kinds, self.taken, self.faults, self.edits = (collections.Counter() for _ in range(4))

    def add(self, history):
        self.runs += 1
        self.ops += len(history.ops)
        self.edits["edits"] += len(history.edits)
        for op in history.ops:
            self.kinds[op["kind"]] += 1
            self.taken["taken" if op["status"] == 200 else "no answer" if op["status"] is None else str(op["status"])] += 1
        for fault in history.faults:
            if fault["kind"] != "stall" and not fault.get("skipped"):
                self.faults[fault["kind"]] += 1
        self.starved += starved(history)

    def told(self):
        def listed(counter):
            return ", ".join(f"{name} {count}" for name, count in counter.most_common())

        return "\n".join([
            f"runs: {self.runs}, operations: {self.ops}, edits of the policies: {self.edits['edits']}, "
            f"faults: {self.faults.total()}, runs that had too little of this machine: {self.starved}",
            f"operations: {listed(self.kinds)}", f"answers: {listed(self.taken)}", f"faults: {listed(self.faults)}",
        ])


def starved(history):
    """Whether the machine stalled for so long that a run shows less than it should."""
    stalled = sum(fault["end"] - fault["begin"] for fault in history.faults_of("stall"))
    return stalled > 0.15 * history.ended


def judged(program, keys, root, seed, seconds, running):
    """One run and what the checker says: the history if it could be read, and what is wrong in words."""
    folder = root / str(seed)
    broken = one_run(program, keys, folder, seed, seconds, running)
    if broken is not None:
        return None, f"the world broke: {broken}"
    history = History.read(folder / "history.jsonl")
    return history, report(check(history))


def tell(number, history, wrong):
    """A line for each run, and what is wrong with it."""
    state = f"{len(history.ops)} operations, {len(history.faults)} faults" if history else "no history"
    little = ", too little of this machine" if history and starved(history) else ""
    print(f"run {number}: {state}{little}, {'WRONG' if wrong else 'all held'}", flush=True)
    if wrong:
        print(wrong, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, help="jeton, as it was built")
    parser.add_argument("--seed", type=int, help="of the first run; the others follow it (default: a random one)")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="how long a run takes, 20 at least")
    parser.add_argument("--parallel", type=int, default=1, help="how many runs go on at once")
    parser.add_argument("--keep", type=Path, help="a new folder for the histories and logs of all runs")
    given = parser.parse_args()
    if given.seconds < 20 or min(given.runs, given.parallel) < 1:
        parser.error("a run takes 20 seconds at least, and there is one at least")
    program = given.program.resolve()
    absent = need_all(program)
    if absent:
        print(f"error: {absent}", file=sys.stderr)
        return 2
    seed = given.seed if given.seed is not None else random.randrange(1_000_000_000)
    print(f"seed {seed}, {given.runs} runs of {given.seconds:.0f} s, {given.parallel} at once", flush=True)
    root = given.keep or Path(tempfile.mkdtemp(prefix="jeton-chaos-"))
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    (root / "keys").mkdir()
    first_keys(program, root / "keys")
    figures, failed, running = Figures(), [], []
    began = time.monotonic()

    def run(number):
        return number, *judged(program, root / "keys", root, number, given.seconds, running)

    with concurrent.futures.ThreadPoolExecutor(given.parallel) as pool:
        try:
            for number, history, wrong in pool.map(run, range(seed, seed + given.runs)):
                tell(number, history, wrong)
                if history:
                    figures.add(history)
                if wrong:
                    failed.append(number)
                    print(f"its history and logs: {root / str(number)}", flush=True)
                    repeat = f"python3 tests/chaos/run.py {given.program} --seed {number} --seconds {given.seconds:.0f}"
                    print(f"to repeat it: {repeat}", flush=True)
                elif not given.keep:
                    shutil.rmtree(root / str(number))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for world in running:
                world.kill()
            raise
    print(figures.told())
    print(f"violations: {len(failed)} of {given.runs} runs, {time.monotonic() - began:.0f} s, seed {seed}")
    if not failed and not given.keep:
        shutil.rmtree(root)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
