"""What a server takes, second by second: from /proc, from its metrics, and from its log, which is cut while it is read."""

import ctypes
import json
import os
import re
import time
from collections import Counter

LIBC = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE = 1, 2
ESTABLISHED, LISTENING = "01", "0A"
METRICS_EACH = 5
# errors that are said of the edits that are broken on purpose
EXPECTED_ERRORS = {"policies.rejected"}


class Watch:
    def __init__(self, place):
        self.place, self.proc = place, f"/proc/{place.server.pid}"
        self.log = Log(place.log)
        self.cpu_at = self.cpu()
        self.metrics = {}

    def sample(self, number):
        """All of a second. `stray`: descriptors but those of connections whose other end is there."""
        now, cpu = time.monotonic(), self.cpu()
        status = open(f"{self.proc}/status").read()
        everything, stray = self._descriptors()
        taken = {
            "at": now, "cpu": (cpu[0] - self.cpu_at[0]) / (cpu[2] - self.cpu_at[2]),
            "resident": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024,
            "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]), "descriptors": everything, "stray": stray,
        }
        self.cpu_at = cpu
        self.log.read()
        if number % METRICS_EACH == 0:
            text = self.place.ask_admin("/metrics")
            taken |= {"metrics": len(text), "store_up": value(text, "jeton_store_up"), "log": self.log.size}
            self.metrics = {
                "dropped": value(text, "jeton_decisions_dropped_total"), "issued": total(text, "jeton_tokens_issued_total"),
                "reused": total(text, "jeton_tokens_reused_total"), "decisions": total(text, "jeton_decisions_total"),
                "limited": total(text, "jeton_rate_limited_total"),
            }
        return taken

    def cpu(self):
        """Seconds in which threads ran, in which they waited for the core that others had, and the time."""
        ran = waited = 0
        for task in os.listdir(f"{self.proc}/task"):
            try:
                one, other, _ = open(f"{self.proc}/task/{task}/schedstat").read().split()
            except FileNotFoundError:  # it ended meanwhile
                continue
            ran, waited = ran + int(one), waited + int(other)
        return ran / 1e9, waited / 1e9, time.monotonic()

    def _descriptors(self):
        # before the descriptors: a connection that comes in between is one that is not counted as alive
        alive = set()
        for file in ("tcp", "tcp6"):
            for line in open(f"{self.proc}/net/{file}").readlines()[1:]:
                fields = line.split()
                if fields[3] in (ESTABLISHED, LISTENING):
                    alive.add(fields[9])
        everything = stray = 0
        for number in os.listdir(f"{self.proc}/fd"):
            try:
                target = os.readlink(f"{self.proc}/fd/{number}")
            except FileNotFoundError:
                continue
            everything += 1
            stray += not (target.startswith("socket:[") and target[8:-1] in alive)
        return everything, stray


class Log:
    """Reads a log that grows by megabytes a second, and gives back to the disk what was read."""

    def __init__(self, file):
        self.file = open(file, "r+b", buffering=0)
        self.size, self.rest = 0, b""
        self.bad, self.warnings = [], Counter()

    def read(self):
        start = self.size
        while data := self.file.read(1 << 20):
            self.size += len(data)
            data = self.rest + data
            whole, _, self.rest = data.rpartition(b"\n")
            if b'"level":"ERROR"' in whole or b"panicked" in whole:
                self._look(whole)
            at = whole.find(b'"level":"WARN"')
            while at >= 0:
                event = re.compile(rb'"event":"([^"]*)"').search(whole, at)
                self.warnings[event[1].decode()] += 1
                at = whole.find(b'"level":"WARN"', at + 1)
        if self.size > start:
            self._give_back()

    def _give_back(self):
        start, length = ctypes.c_int64(0), ctypes.c_int64(self.size)
        if LIBC.fallocate64(self.file.fileno(), KEEP_SIZE | PUNCH_HOLE, start, length) != 0:
            raise OSError(ctypes.get_errno(), "/dev/shm cannot give back a part of a file")

    def _look(self, text):
        for line in text.split(b"\n"):
            if b'"level":"ERROR"' not in line and b"panicked" not in line:
                continue
            try:
                expected = json.loads(line)["event"] in EXPECTED_ERRORS
            except (ValueError, KeyError):
                expected = False
            if not expected and len(self.bad) < 50:
                self.bad.append(line.decode(errors="replace")[:1000])


def value(text, metric):
    found = re.search(rf"^{metric} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def total(text, metric):
    return sum(float(number) for number in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.M))
