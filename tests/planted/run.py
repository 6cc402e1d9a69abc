#!/usr/bin/env python3
"""Plants each fault of this folder in a copy of the tree, and runs the command that must find it.

    run.py [NAME...] [--list] [--no-control]      NAME is `model-head-without-get`, or the beginning of names: `model`

A fault is a patch. The lines before its first `diff` say how it is found:

    # python3 tests/model/run.py {program} --seed 1      the command, run from the root of the copy
    # seconds 120                                        how long it may take; 300 without this line

`{program}` is the `jeton` that was built from the copy. First each command runs once without a fault, and must succeed.
Returns 0 if each fault was found, 1 if one was not, 2 where a patch does not fit, does not compile, or a command does not
run. Works on what is committed. The copy and what is built of it stay in target/planted/.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLACE = ROOT / "target" / "planted"
COPY = PLACE / "tree"
# cargo and its tests fail with it, the commands of this repository with 1
FOUND = {"cargo": 101}
# the last lines of a command that say what it found
SHOWN = 4


class Unusable(Exception):
    """A fault that says nothing about the command: it does not fit, does not compile, or the command cannot run."""


@dataclass(frozen=True)
class Fault:
    name: str
    patch: Path
    command: str
    seconds: int

    @classmethod
    def read(cls, patch: Path) -> "Fault":
        head = patch.read_text(encoding="utf-8").partition("diff --git")[0]
        said = [line[1:].strip() for line in head.splitlines() if line.startswith("#")]
        seconds = [int(line.split()[1]) for line in said if line.startswith("seconds ")]
        commands = [line for line in said if line.startswith(("python3 ", "cargo "))]
        if len(commands) != 1:
            raise Unusable(f"{patch.name}: one line `# python3 ...` or `# cargo ...` must say what finds it")
        return cls(patch.stem, patch, commands[0], seconds[0] if seconds else 300)


def in_copy(command: list[str], seconds: int | None = None) -> tuple[int | None, str]:
    """The exit code, None after so many seconds, and all that was printed."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(PLACE / "build")}
    process = subprocess.Popen(command, cwd=COPY, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        printed, _ = process.communicate(timeout=seconds)
        return process.returncode, printed
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]


def must(command: list[str], what: str):
    code, printed = in_copy(command)
    if code != 0:
        raise Unusable(f"{what}: {' '.join(command)} returned {code}\n{ending(printed, 20)}")


def ending(printed: str, lines: int) -> str:
    last = [line for line in printed.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line[:200]}" for line in last)


def copy_the_tree():
    if not (COPY / ".git").exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(COPY)], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    must(["git", "fetch", "--quiet", "origin"], "the copy")
    # files that stay as they are keep their times, so that cargo builds what changed alone
    must(["git", "checkout", "--quiet", "--force", "--detach", commit], "the copy")
    must(["git", "clean", "--quiet", "-fd"], "the copy")


def run(fault: Fault) -> tuple[int | None, str]:
    """The exit code of the fault's command, and what it printed, in the copy as it is now."""
    words = shlex.split(fault.command.replace("{program}", str(PLACE / "build" / "debug" / "jeton")))
    if words[0] == "cargo":
        must([*words, "--no-run"], fault.name)
    elif "{program}" in fault.command:
        must(["cargo", "build", "--quiet", "--locked", "--bin", "jeton"], fault.name)
    return in_copy(words, fault.seconds)


def is_found(fault: Fault) -> bool:
    must(["git", "apply", str(fault.patch)], fault.name)
    try:
        began = time.monotonic()
        code, printed = run(fault)
        took = f"{time.monotonic() - began:.0f} s with its build"
    finally:
        must(["git", "checkout", "--quiet", "--force", "."], "the copy")
        must(["git", "clean", "--quiet", "-fd"], "the copy")
    if code == FOUND.get(fault.command.split()[0], 1):
        print(f"found: {fault.name} ({took}): {fault.command}\n{ending(printed, SHOWN)}", flush=True)
        return True
    if code == 0:
        print(f"NOT FOUND: {fault.name} ({took}): {fault.command}\n{ending(printed, SHOWN)}", flush=True)
        return False
    end = f"was not done after {fault.seconds} s" if code is None else f"returned {code}"
    raise Unusable(f"{fault.name}: {fault.command} {end}\n{ending(printed, 20)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="say the faults, and plant none")
    parser.add_argument("--no-control", action="store_true", help="do not run the commands without a fault first")
    options = parser.parse_args()
    faults = [Fault.read(patch) for patch in sorted(HERE.glob("*.patch"))]
    chosen = [fault for fault in faults if not options.names or fault.name.startswith(tuple(options.names))]
    if not chosen:
        raise Unusable("no fault has such a name")
    if options.list:
        for fault in chosen:
            print(f"{fault.name}: {fault.command}")
        return 0
    copy_the_tree()
    if not options.no_control:
        for command, fault in {fault.command: fault for fault in chosen}.items():
            code, printed = run(fault)
            if code != 0:
                raise Unusable(f"without a fault, {command} returned {code}\n{ending(printed, 20)}")
            print(f"without a fault: {command}", flush=True)
    found, unusable = [], []
    for fault in chosen:
        try:
            found.append(is_found(fault))
        except Unusable as why:
            print(f"error: {why}", file=sys.stderr, flush=True)
            unusable.append(fault)
    print(f"planted faults: {sum(found)} of {len(chosen)} were found, {len(unusable)} say nothing")
    return 2 if unusable else 0 if all(found) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as why:
        print(f"error: {why}", file=sys.stderr)
        sys.exit(2)
