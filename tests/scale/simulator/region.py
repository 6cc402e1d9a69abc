"""A region that is cut off: what goes on, what is refused from when on, and when it has healed.

The rules are those of docs/replicas.md, docs/services.md, docs/explanations/keys.md and docs/reference/http.md.
"""

import random
from dataclasses import dataclass

# after a fetch that failed; each further pause is twice as long, up to a minute
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
FETCH_TIMEOUT = 5.0
LEEWAY = 30.0
LIST_LEEWAY = 60.0
BUNDLE_LIFETIME = 24 * 3600.0


@dataclass(frozen=True)
class Service:
    """One service that loses its replicas: times after the cut, or after its end."""

    list_refuses: float        # its first status list has ended
    bundle_refuses: float      # its bundle has ended
    heals: float               # it holds a new document again, after the end of the cut


def list_lifetime(ttl):
    """For how long a list counts: 60 times `ttl`, at least an hour and at most a day."""
    return min(max(60.0 * ttl, 3600.0), 24 * 3600.0)


def attempts(pause, timeout):
    """When a follower tries again after a fetch failed at zero: every time, without an end."""
    time, wait = 0.0, pause
    while True:
        time += wait
        yield time
        time += timeout
        wait = min(wait * 2, LONGEST_PAUSE)


def service(world, lasts, refused, rng):
    """A service whose last good fetches were at any time of their pauses before the cut.

    `refused`: connections fail at once; otherwise each attempt takes its whole time.
    """
    into_hour = rng.random() * 3600
    into_window = rng.random() * world.list_ttl
    list_age, bundle_age = rng.random() * world.list_ttl, rng.random() * world.bundle_ttl
    fetched_into_window = (into_window - list_age) % world.list_ttl
    list_refuses = list_lifetime(world.list_ttl) - fetched_into_window - list_age + LIST_LEEWAY
    fetched_into_hour = (into_hour - bundle_age) % 3600
    bundle_refuses = 3600 - fetched_into_hour + BUNDLE_LIFETIME - bundle_age + LEEWAY
    timeout = 0.0 if refused else FETCH_TIMEOUT
    first = world.bundle_ttl - bundle_age
    if first > lasts:
        # it did not even notice
        return Service(list_refuses, bundle_refuses, first - lasts)
    for attempt in attempts(FIRST_PAUSE, timeout):
        at = first + timeout + attempt
        if at >= lasts:
            return Service(list_refuses, bundle_refuses, at - lasts)
    raise AssertionError("attempts never end")


def services(world, lasts, refused, seed, count=10_000):
    rng = random.Random(f"{seed} region {lasts} {refused}")
    return [service(world, lasts, refused, rng) for _ in range(count)]


def token_left(world, rng, count):
    """For how long clients hold a token that is good when no more are issued, in order of length."""
    return sorted(world.margin + rng.random() * (world.token_ttl - world.margin) for _ in range(count))


def unknown_keys(world, lasts, made):
    """How long the replicas of a region that is cut off from its folders refuse the tokens of other regions, because
    a key signs there that they never saw. The key is made `made` seconds after the cut begins (before zero: before it)."""
    if made < 0:
        return 0.0
    return max(0.0, lasts - (made + world.publish_ahead))
