"""Services that follow key sets, bundles and status lists, with caches between them and the replicas or without.

The rules are those of docs/services.md, docs/reference/http.md and docs/explanations/revocation.md: how long an answer
may be kept, when a follower asks again, and what is `not modified`.
"""

import bisect
import heapq
import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """One kind of document."""

    name: str
    pause: object              # seconds until a follower asks again, of what is left of the answer's lifetime and of its Age
    max_age: int
    signed_every: int          # seconds after which the same content is signed anew; 0 for never
    until_window_ends: bool    # whether max-age counts down to that

    def lifetime(self, now):
        """`max-age` of an answer of a replica."""
        if not self.until_window_ends:
            return self.max_age
        whole = int(now // 1)
        return self.signed_every - whole % self.signed_every


def keys(world):
    """Asked for again after four fifths of what is left of its lifetime."""
    pause = lambda left, _: min(max(left - left // 5, 1), 300)
    return Kind("key set", pause, world.keys_max_age, 0, False)


def bundles(world):
    """Asked for again at the end of its lifetime."""
    return Kind("bundle", lambda left, _: max(left, 1), world.bundle_ttl, 3600, False)


def status_lists(world):
    """Asked for again after the list's own `ttl`, of which a cache has used up the age that it tells."""
    return Kind("status list", lambda _, age: max(world.list_ttl - age, 1), world.list_ttl, world.list_ttl, True)


@dataclass
class Tally:
    """What was asked and answered. Every request of a follower is one of `hits` and `origin_asked`."""

    asked: int = 0
    unchanged: int = 0         # 304 to a follower
    full: int = 0              # 200 to a follower
    hits: int = 0              # answered by a cache
    origin_asked: int = 0
    origin_unchanged: int = 0
    origin_full: int = 0
    late: list = field(default_factory=list)
    missing: int = 0           # followers that an edit never reached


class Region:
    """The replicas of one region, and when each takes over each edit."""

    def __init__(self, world, edits, reload, rng):
        synced = [edit + rng.random() * world.sync for edit in edits]
        self.taken_over = []
        for _ in range(world.replicas_of_region):
            phase = rng.random() * world.poll
            # the next poll sees it, and takes it when it has held still
            seen = [edit + (phase - edit) % world.poll for edit in synced] if world.poll else synced
            self.taken_over.append([time + world.settle + reload for time in seen])

    def edit_at(self, replica, now):
        """How many edits this replica has taken over."""
        return bisect.bisect_right(self.taken_over[replica], now)


class Entry:
    """What a cache holds of one document."""

    __slots__ = ("etag", "lifetime", "stored")

    def __init__(self):
        self.etag, self.stored, self.lifetime = None, 0.0, -1

    def is_fresh(self, now):
        return self.etag is not None and now - self.stored < self.lifetime


def follow(kind, followers, region, edits, world, rng, cached, tally):
    """The followers of one document at one cache (or without), until all that is counted has happened.

    Times before zero are the warm-up: nothing of them is counted. An edit is late by the time from it until a follower
    holds it.
    """
    warm_up = 2.0 * max(kind.max_age, 300)
    end = world.hours * 3600
    # each edit has the time to reach everybody
    last = max([end, *(edit + world.sync + world.poll + world.settle + world.reload + 3.0 * kind.max_age + 60 for edit in edits)])
    entry, replicas = Entry(), world.replicas_of_region
    held = [None] * followers
    reached = [0] * followers
    due = [(-warm_up + rng.random() * kind.max_age, follower) for follower in range(followers)]
    heapq.heapify(due)
    while due[0][0] < last:
        asked_at, follower = due[0]
        counts = 0 <= asked_at < end
        if cached and entry.is_fresh(asked_at):
            etag, lifetime, from_origin = entry.etag, entry.lifetime, False
        else:
            replica = int(rng.random() * replicas)
            # the hour ends in the middle of what is counted
            window = int((asked_at + 1800) // kind.signed_every) if kind.signed_every else 0
            etag, lifetime, from_origin = (region.edit_at(replica, asked_at), window), kind.lifetime(asked_at), True
            if counts:
                known = entry.etag if cached else held[follower]
                tally.origin_asked += 1
                if known == etag:
                    tally.origin_unchanged += 1
                else:
                    tally.origin_full += 1
            entry.etag, entry.stored, entry.lifetime = etag, asked_at, lifetime
        age = int(asked_at - entry.stored)
        if counts:
            tally.asked += 1
            tally.hits += not from_origin
            if held[follower] == etag:
                tally.unchanged += 1
            else:
                tally.full += 1
        arrived = asked_at + rng.random() * world.latency
        # a replica that lags behind takes nothing back
        held[follower] = etag if held[follower] is None else max(held[follower], etag)
        while reached[follower] < held[follower][0]:
            tally.late.append(arrived - edits[reached[follower]])
            reached[follower] += 1
        heapq.heapreplace(due, (arrived + kind.pause(max(lifetime - age, 0), age), follower))
    tally.missing += sum(len(edits) - count for count in reached)


def spread(count, over):
    """So many followers of each, as evenly as they can be."""
    return [count // over + (place < count % over) for place in range(over)]


def crowds(kind, world, rng):
    """How many followers each document has at one cache: those of the services near it."""
    near = world.services_of_region // world.edges
    if kind.name == "key set":
        return [near]
    if kind.name == "bundle":
        return [count for count in spread(near, world.apis) if count]
    counts = {}
    for _ in range(near):
        for place in rng.sample(range(world.listed), world.lists):
            counts[place] = counts.get(place, 0) + 1
    return list(counts.values())


def followed(kind, world, seed, cached, caches=None):
    """All services and documents, at so many caches of each region (`None` for all); rates are of those that are simulated."""
    rng = random.Random(f"{seed} {kind.name} {cached}")
    tally = Tally()
    at_each = caches or world.edges
    # edits at any time of a window, each with time of its own
    step = world.hours * 3600 / world.edits
    for _ in range(world.regions):
        # a key folder is small
        edits = sorted((place + rng.random()) * step for place in range(world.edits))
        region = Region(world, edits, 0.0 if kind.name == "key set" else world.reload, rng)
        for _ in range(at_each):
            for crowd in crowds(kind, world, rng):
                follow(kind, crowd, region, edits, world, rng, cached, tally)
    tally.late.sort()
    return tally, world.edges / at_each
