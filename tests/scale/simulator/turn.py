"""Tokens at the turn of the hour: who asks when, how long each waits, and what reuse saves."""

import random
from dataclasses import dataclass

from .figures import percentile

# `docs/running.md`: each replica remembers about so many tokens
REMEMBERED = 4096


@dataclass(frozen=True)
class Waits:
    """What came of requests: how many were answered, and how long each took with its own cost, in order of length."""

    asked: int
    taken: list
    busy: float        # CPU seconds
    last: float        # when the last answer was given
    peak: float        # most requests that came in one tenth of a second, as a rate

    def at(self, share):
        return percentile(self.taken, share)


def own_phase(world, rng, span=600.0):
    """Clients that started at any time: each replaces its token `margin` before its end."""
    count = round(world.clients * span / (world.token_ttl - world.margin))
    return sorted(rng.random() * span for _ in range(count))


def cron(world, rng):
    """A job of each client at :00; it asks as soon as it has started."""
    return sorted(rng.expovariate(1 / world.cron_spread) for _ in range(world.clients))


def with_jitter(world, rng):
    """The same jobs, each after a random pause."""
    return sorted(rng.random() * world.jitter + rng.expovariate(1 / world.cron_spread) for _ in range(world.clients))


def queued(arrivals, cost, workers, rng):
    """Each request goes to a random worker, which takes one after the other: a replica has a worker for each core."""
    free, taken = [0.0] * workers, []
    choose = rng.random
    for asked in arrivals:
        worker = int(choose() * workers)
        begun = free[worker]
        if begun < asked:
            begun = asked
        done = free[worker] = begun + cost
        taken.append(done - asked)
    taken.sort()
    return Waits(len(arrivals), taken, cost * len(taken), max(free), peak_rate(arrivals))


def peak_rate(arrivals, window=0.1):
    """The most that came within one window, for each second."""
    most, begin = 0, 0
    for end, time in enumerate(arrivals):
        while time - arrivals[begin] > window:
            begin += 1
        most = max(most, end - begin + 1)
    return most / window


def cores_needed(world, arrivals, cost, most, rng):
    """The fewest cores, in steps of 2 %, with which 99 % of the requests take at most `most` seconds.

    A tenth of the requests at a tenth of the cores: the burst has the same shape.
    """
    part = arrivals[::10] if len(arrivals) >= 1000 else arrivals
    share = len(part) / len(arrivals)
    low, high = 1, max(2, round(len(arrivals) * cost / world.cron_spread * 4 * share))
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        if queued(part, cost, middle, rng).at(0.99) <= most:
            high = middle
        else:
            low = middle
    return round(high / share)


def reused_share(clients, replicas, sticky, rng, minutes=12, reuse=5, warm_up=5):
    """The share of answers that are tokens from memory at one replica, for jobs that ask every minute.

    `sticky`: a client always asks the same replica. A token is handed out again for `reuse` minutes. What is remembered
    stays when there is no room: the memory keeps what comes again against what came once. The first minutes, of the
    warm-up, are not counted.
    """
    kept, reused, counted = {}, 0, 0
    per_replica = max(1, clients // replicas)
    own = list(range(per_replica))
    for minute in range(minutes):
        asking = own if sticky else [rng.randrange(clients) for _ in range(per_replica)]
        rng.shuffle(asking)
        for client in asking:
            signed = kept.get(client)
            if signed is not None and minute - signed < reuse:
                reused += minute >= warm_up
            elif signed is not None or len(kept) < REMEMBERED:
                kept[client] = minute
            counted += minute >= warm_up
    return reused / counted


def turn_of_the_hour(world, costs, seed):
    """The rows of the table: what each way of asking comes to."""
    workers = world.replicas * world.cores
    ways = [
        ("each at its own time", own_phase, costs.token_by_secret),
        (f"jitter over {world.jitter:.0f} s", with_jitter, costs.token_by_secret),
        ("cron at :00, secrets", cron, costs.token_by_secret),
        ("cron at :00, assertions", cron, costs.token_by_assertion),
    ]
    for name, arrivals, cost in ways:
        rng = random.Random(f"{seed} {name}")
        yield name, cost, queued(arrivals(world, rng), cost, workers, rng)
