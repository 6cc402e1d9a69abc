"""Tests in suites, and whether one of them fails for a mutant."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

# no failure is made smaller: a mutant is caught or not
ENVIRONMENT = {"PROPTEST_MAX_SHRINK_ITERS": "0", "RUST_BACKTRACE": "0", "INSTA_UPDATE": "no"}
# cases of each property: few for all, and more for what those do not see
FEW = {"PROPTEST_CASES": "2", "PROPTEST_RNG_SEED": "1"}
MORE = {"PROPTEST_CASES": "16", "PROPTEST_RNG_SEED": "2"}
# with fewer cases and without a mutant; who takes longer is not asked
LONGEST = 60.0
LONGEST_WITH_MORE = 300.0
FAILED = re.compile(r"test (.+) \.\.\. FAILED")
# a mutant may be slower than what it was made of, but not for ever
SHORTEST_LIMIT, TIMES_SLOWER = 20.0, 6


@dataclass
class Suite:
    """The tests of one module of a test program."""

    program: Path
    folder: Path
    module: str
    seconds: float = 0.0
    # the numbers of the mutants that it comes past
    reaches: set[int] = field(default_factory=set)

    def run(self, limit, **environment):
        """The first test that fails, "" if none does; `None` if it takes too long."""
        command = [self.program, f"{self.module}::"] if self.module else [self.program]
        process = subprocess.Popen(
            command, cwd=self.folder, env=os.environ | ENVIRONMENT | environment, start_new_session=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace",
        )
        too_late = threading.Event()
        clock = threading.Timer(limit, lambda: (too_late.set(), end(process)))
        clock.start()
        try:
            for line in process.stdout:
                if failed := FAILED.match(line):
                    return failed[1]
            code = process.wait()
            if too_late.is_set():
                return None
            return "" if code == 0 else f"the program ended with {code}"
        finally:
            clock.cancel()
            end(process)

    def learn(self):
        """Runs it without a mutant: how long it takes, and what it comes past."""
        with tempfile.NamedTemporaryFile("r", prefix="jeton-mutants-") as reached:
            started = time.monotonic()
            failed = self.run(LONGEST, MUTANTS_REACHED=reached.name, **FEW)
            if failed is None:
                print(f"not asked, because it takes more than {LONGEST:.0f} s: {self.program.name} {self.module}", flush=True)
                return
            if failed:
                sys.exit(f"error: `{failed}` of {self.program.name} {self.module} fails without a mutant")
            self.seconds = time.monotonic() - started
            self.reaches = {int(line) for line in reached.read().split()}


def end(process):
    """Ends a test program, and the servers that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def suites_of(program, folder):
    """The suites of a test program, one for each module."""
    listed = subprocess.run([program, "--list", "--format=terse"], cwd=folder, capture_output=True, text=True, check=True)
    tests = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
    modules = dict.fromkeys(test.split("::")[0] if "::" in test else "" for test in tests)
    return [Suite(program, folder, module) for module in modules]


def verdict(number, suites):
    """What became of a mutant: a word, and the test that tells."""
    coming_past = [suite for suite in suites if number in suite.reaches]
    if not coming_past:
        return "missed", "no test comes past it"
    for cases in (FEW, MORE):
        for suite in sorted(coming_past, key=lambda each: each.seconds):
            limit = max(SHORTEST_LIMIT, TIMES_SLOWER * suite.seconds) if cases is FEW else LONGEST_WITH_MORE
            failed = suite.run(limit, MUTANT=str(number), **cases)
            if failed is None:
                return "timeout", suite.module
            if failed:
                return "caught", failed
    return "missed", ""
