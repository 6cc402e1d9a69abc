"""The processes that ask: the crowd of right clients, the hostile ones, and the probe. Each tells what it did once a second:

    {"at": second, "asked": requests, "ended": {kind: jobs}, "failed": [...], "latency": [seconds], "late": probes}
"""

import multiprocessing
import os
import time
from collections import Counter

from clients import PROBED, Mixture
from hostile import BURST, CYCLE, Attacks, KINDS, Squatters
from wire import Loop

# jobs under way at once: at saturation, at most at a rate (those that are due then wait here), and of the probe, which
# never waits
CLOSED, OPEN, PROBED_AT_ONCE = 32, 64, 1000
PROBES = 100
SQUATTERS = 100
# a probe that is sent later than this says more of its own core than of the server, and is not judged
LATE = 0.002
# of failures that are told in full, each second
TOLD = 20

fork = multiprocessing.get_context("fork")


class Worker:
    """One of them, as the driver sees it. `begin` is when cycles begin, on the clock of all."""

    def __init__(self, work, ports, keys, seed, begin):
        self.pipe, theirs = fork.Pipe()
        self.process = fork.Process(target=_run, args=(work, theirs, ports, keys, seed, begin), daemon=True)
        self.process.start()
        theirs.close()

    def told(self):
        """What it told since it was asked last."""
        reports = []
        while self.pipe.poll():
            reports.append(self.pipe.recv())
        return reports

    def order(self, rate):
        """So many jobs a second; None is as many as are answered, and 0 pauses."""
        self.pipe.send(rate)

    def stop(self):
        """Lets what is under way end. What it told last."""
        reports = []
        try:
            self.pipe.send("stop")
            while True:
                reports.append(self.pipe.recv())
        except (EOFError, OSError):
            pass
        self.process.join(30)
        if self.process.exitcode != 0:
            raise RuntimeError(f"a worker ended with exit code {self.process.exitcode}")
        return reports


def _run(work, pipe, ports, keys, seed, begin):
    try:
        work(Tally(pipe), Mixture(ports, keys, seed), begin)
    except KeyboardInterrupt:
        os._exit(130)


class Tally:
    """What happened in this second, and the orders of the driver."""

    def __init__(self, pipe):
        self.pipe, self.rate, self.stopped = pipe, 0, False
        self.second = int(time.monotonic())
        self._empty()

    def _empty(self):
        self.asked, self.ended, self.failed, self.failures = 0, Counter(), [], 0
        self.latency, self.late = [], 0

    def take(self, job, why):
        self.asked += job.done
        if why is None:
            self.ended[job.kind] += 1
            return
        self.failures += 1
        if len(self.failed) < TOLD:
            self.failed.append((time.time(), job.kind, why))

    def look(self, now):
        """Reports if a second is over. Whether the driver gave another order."""
        if int(now) != self.second:
            self.pipe.send({
                "at": self.second, "asked": self.asked, "ended": dict(self.ended), "failed": self.failed,
                "failures": self.failures, "latency": self.latency, "late": self.late,
            })
            self.second = int(now)
            self._empty()
        if not self.pipe.poll():
            return False
        order = self.pipe.recv()
        if order == "stop":
            self.stopped = True
        else:
            self.rate = order
        return True

    def end(self):
        self.look(self.second + 1)


def crowd(tally, mixture, _begin):
    """The right clients. Times between two jobs are random, as those of clients that know nothing of each other."""
    loop = Loop(OPEN, tally.take)
    due = looked = time.monotonic()
    while not tally.stopped:
        now = time.monotonic()
        if now - looked > 0.02:
            looked = now
            if tally.look(now):
                due = now
        if tally.rate is None:
            while loop.jobs < CLOSED:
                _start(loop, mixture, now)
            loop.turn(0.02)
        elif tally.rate:
            while due <= now and not loop.full:
                _start(loop, mixture, due)
                due += mixture.random.expovariate(tally.rate)
            loop.turn(min(0.02, max(0.0, due - now)))
        else:
            loop.turn(0.02)
    loop.finish()
    tally.end()


def _start(loop, mixture, due):
    kind = mixture.draw()
    loop.start(kind, mixture.kind(kind), due)


def probe(tally, mixture, _begin):
    """Asks at fixed times, whether or not what it asked before was answered, and measures from when it should have asked."""

    late = set()

    def ended(job, why):
        tally.take(job, why)
        if job.due in late:
            late.remove(job.due)
        elif why is None:
            tally.latency.append(time.monotonic() - job.due)

    loop = Loop(PROBED_AT_ONCE, ended)
    due, number = time.monotonic(), 0
    while not tally.stopped:
        now = time.monotonic()
        if tally.look(now):
            due = now
        if not tally.rate:
            loop.turn(0.02)
            continue
        while due <= now:
            kind = PROBED[number % len(PROBED)]
            if now - due > LATE:
                late.add(due)
                tally.late += 1
            loop.start(kind, mixture.kind(kind), due)
            due, number = due + 1 / tally.rate, number + 1
        # the poll of the system waits whole milliseconds: too long before the next one is due
        wait = due - time.monotonic()
        if wait > 0.002:
            loop.turn(wait - 0.0015)
        else:
            loop.turn(0)
            time.sleep(0.0001)
    loop.finish()
    tally.end()


def attackers(tally, mixture, begin):
    """Bursts of hostile requests, and connections that are held meanwhile."""
    attacks, squatters = Attacks(mixture), Squatters(mixture.port, SQUATTERS)
    loop = Loop(OPEN, tally.take)
    due = ticked = time.monotonic()
    while not tally.stopped:
        now = time.monotonic()
        tally.look(now)
        burst = bool(tally.rate) and now >= begin and (now - begin) % CYCLE < BURST
        if now - ticked > 0.1:
            ticked = now
            squatters.tick(burst)
            tally.ended["connection held"] += len(squatters.held)
        if not burst:
            due = now
        while due <= now and burst and not loop.full:
            kind = mixture.random.choice(KINDS)
            loop.start(kind, attacks.kind(kind), due)
            due += mixture.random.expovariate(tally.rate)
        loop.turn(0.01)
    squatters.tick(False)
    loop.finish()
    tally.end()
