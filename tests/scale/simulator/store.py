"""A shared store that is far away: what waits for it, what it has to do, and how late a revocation arrives.

The rules are those of docs/replicas.md: which requests ask the store, and that each replica asks four times a second
what was revoked.
"""

from dataclasses import dataclass

# how often a replica asks what was revoked, and how long it waits for an answer at most
NEWS_EVERY = 0.25
DEADLINE = 0.8
# of an attempt to connect, and between attempts: each pause is twice as long as the one before, less up to a quarter
CONNECTING, FIRST_PAUSE, LONGEST_PAUSE = 1.0, 0.1, 2.0
# the times that a request waits for the store, one after the other
ROUND_TRIPS = {
    "a token by secret": 0,
    "a decision, an introspection": 0,
    "a token by assertion": 1,
    "a token by secret, with a DPoP proof": 1,
    "a token by assertion, with a DPoP proof": 2,
    "a refresh": 1,
    "revoking an access token": 1,
    "revoking a refresh token": 2,
}


@dataclass(frozen=True)
class Taken:
    """How long a request takes, or that it is refused because the store does not answer in time."""

    seconds: float
    refused: bool


def request(kind, cost, far):
    """Without a queue: its own cost, and each round trip to a store that is `far` seconds away and back."""
    trips = ROUND_TRIPS[kind]
    if trips and far > DEADLINE:
        return Taken(cost + DEADLINE, True)
    return Taken(cost + trips * far, False)


def news_late(reader, revoker, count, rng):
    """How late another replica knows of a revocation, from the answer to whoever revoked, in order of length.

    Both are so many seconds away from the store and back. A poll that reaches the store after the revocation brings it.
    """
    cycle = NEWS_EVERY + reader
    return sorted(rng.random() * cycle + reader / 2 - revoker / 2 for _ in range(count))


def refused_share(arrivals, command, deadline=DEADLINE):
    """The share of requests that a store with one thread answers too late. It still does what nobody waits for any more."""
    free, refused = 0.0, 0
    for asked in arrivals:
        free = max(free, asked) + command
        refused += free - asked > deadline
    return refused / len(arrivals)


def commands(world, assertions):
    """Commands a second: one for each assertion, and the news of every replica."""
    return assertions + world.replicas / NEWS_EVERY


def reconnected_late(lasts, refused, count, rng):
    """How long after a cut a replica has the store again, in order of length.

    `refused`: the way is refused at once while it is cut; otherwise packets are lost, and each attempt takes its time.
    """
    times = []
    for _ in range(count):
        # the next poll or request notices
        time, pause = NEWS_EVERY * rng.random() + (0.0 if refused else DEADLINE), FIRST_PAUSE
        # an attempt that is under way does not see the end: its first packet was lost
        while time < lasts:
            time += (0.0 if refused else CONNECTING) + pause * (1 - rng.randrange(256) / 1024)
            pause = min(2 * pause, LONGEST_PAUSE)
        times.append(time - lasts)
    times.sort()
    return times
