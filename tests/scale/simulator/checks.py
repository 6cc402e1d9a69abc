"""What must hold of the simulator: nothing is lost, closed forms, and the bounds that the documentation promises."""

import math
import random
from dataclasses import replace

from . import documents, region, store, turn
from .figures import mean, percentile


class Checks:
    """Counts what holds, and remembers what does not."""

    def __init__(self):
        self.count, self.failed = 0, []

    def holds(self, name, holds, seen):
        self.count += 1
        if not holds:
            self.failed.append(f"{name}: {seen}")

    def close(self, name, seen, expected, within):
        """Within a share of what is expected."""
        self.holds(name, abs(seen - expected) <= within * abs(expected), f"{seen:.6g}, expected {expected:.6g} within {within:.1%}")

    def at_most(self, name, seen, bound):
        self.holds(name, seen <= bound, f"{seen:.6g}, at most {bound:.6g}")


def costs_fit(checks, costs):
    """Costs of one program are in an order that cannot be another."""
    checks.holds(
        "a token costs its signature, and not half as much again",
        1 <= costs.token_by_secret / costs.raw_signature <= 1.5, costs.token_by_secret,
    )
    checks.holds(
        "a token by assertion costs a signature and a verification, and not half as much again",
        1 <= costs.token_by_assertion / costs.raw_signature_and_verification <= 1.5, costs.token_by_assertion,
    )
    checks.holds(
        "a token that is reused costs no signature", costs.token_reused < costs.raw_signature / 5, costs.token_reused,
    )
    checks.holds("a 304 costs no signature", costs.unchanged < costs.raw_signature / 5, costs.unchanged)


def queues(checks, seed, size):
    """The queue against what is known of it."""
    rng = random.Random(f"{seed} queues")
    together = turn.queued([0.0] * size, 0.001, 1, rng)
    checks.close("one worker takes what came at once one after the other", together.last, size * 0.001, 1e-9)
    checks.close("half of it has its answer after half the time", together.at(0.5), size * 0.0005, 0.01)

    # Pollaczek-Khinchine for a fixed time of service; each of two workers is a queue of its own
    cost, load = 0.001, 0.7
    time, arrivals = 0.0, []
    for _ in range(size):
        time += rng.expovariate(2 * load / cost)
        arrivals.append(time)
    waits = turn.queued(arrivals, cost, 2, rng)
    expected = cost + load * cost / (2 * (1 - load))
    checks.close("M/D/1: the mean time at 70 % load", mean(waits.taken), expected, 0.06)
    checks.close("M/D/1: work is what came times its cost", waits.busy, size * cost, 1e-9)

    # a burst that decays: what has come less what was answered, at its most
    spread, cost, workers = 1.0, 1.0 / size, 1
    arrivals = sorted(rng.expovariate(1 / spread) for _ in range(2 * size))
    waits = turn.queued(arrivals, cost, workers, rng)
    peak = spread * math.log(2 * size * cost / (spread * workers))
    longest = (2 * size * (1 - math.exp(-peak / spread)) * cost / workers) - peak
    checks.close("a burst: the longest wait", waits.taken[-1], longest, 0.05)


def turns(checks, world, costs, rows):
    for name, cost, waits in rows:
        checks.holds(f"{name}: every request has one answer", waits.asked == len(waits.taken), (waits.asked, len(waits.taken)))
        checks.close(f"{name}: the work", waits.busy, waits.asked * cost, 1e-9)
        checks.holds(f"{name}: no answer is quicker than its cost", waits.taken[0] >= cost * (1 - 1e-6), waits.taken[0])
    by_name = {name: waits for name, _, waits in rows}
    cron = by_name["cron at :00, secrets"]
    checks.holds("each client has its token", cron.asked == world.clients, cron.asked)


def reuse(checks, seed):
    """What fits into memory is signed once in five minutes; what does not fit is signed each time."""
    few = turn.reused_share(1000, 1, True, random.Random(seed), minutes=15)
    checks.close("reuse of what fits into memory: 4 of 5", few, 0.8, 0.02)
    many = turn.reused_share(20 * turn.REMEMBERED, 1, True, random.Random(seed), minutes=10)
    checks.close("reuse of 20 times what fits: a 20th of that", many, 0.8 / 20, 0.05)


def conserved(checks, kind, tally, cached, rate):
    name = f"{kind.name}, {'cached' if cached else 'without a cache'}"
    checks.holds(f"{name}: each request is a hit or asked of a replica", tally.asked == tally.hits + tally.origin_asked, vars_of(tally))
    checks.holds(f"{name}: each answer is 304 or 200", tally.asked == tally.unchanged + tally.full, vars_of(tally))
    checks.holds(f"{name}: and so is each of a replica", tally.origin_asked == tally.origin_unchanged + tally.origin_full, vars_of(tally))
    checks.holds(f"{name}: an edit reaches every follower", tally.missing == 0 and tally.late, vars_of(tally))
    checks.holds(f"{name}: nobody knows before it is done", tally.late[0] >= 0, tally.late[0])
    if not cached:
        checks.holds(f"{name}: there are no hits", tally.hits == 0, tally.hits)
        checks.close(f"{name}: requests a second", tally.asked, rate, 0.02)


def vars_of(tally):
    return {name: value for name, value in vars(tally).items() if name != "late"}


def late(checks, world, seed, size):
    """How late edits arrive, for replicas that take them over at once, against closed forms."""
    plain = replace(
        world, sync=0.0, poll=0.0, settle=0.0, reload=0.0, latency=0.0, regions=1, replicas=1, services=size, edges=1,
        apis=size, listed=size, lists=1, edits=4, hours=0.25,
    )
    for kind, pause in [(documents.bundles(plain), plain.bundle_ttl), (documents.status_lists(plain), plain.list_ttl)]:
        tally, _ = documents.followed(kind, plain, seed, False)
        checks.close(f"{kind.name} without a cache: half know after half a pause", percentile(tally.late, 0.5), pause / 2, 0.05)
        checks.close(f"{kind.name} without a cache: 99.9 % after 99.9 % of it", percentile(tally.late, 0.999), 0.999 * pause, 0.01)
        checks.at_most(f"{kind.name} without a cache: all after one pause", tally.late[-1], pause + 1e-6)

    # a cache that says how old its answer is keeps nobody waiting for longer than one lifetime, and a second for the whole
    # seconds of `Age`
    for kind, shared, pause in [
        (documents.bundles(plain), replace(plain, apis=10), plain.bundle_ttl),
        (documents.status_lists(plain), replace(plain, listed=1), plain.list_ttl),
    ]:
        tally, _ = documents.followed(kind, shared, seed, True)
        checks.at_most(f"{kind.name} behind a cache: all after one lifetime and a second", tally.late[-1], pause + 1.0)


def store_and_region(checks, world, seed, size):
    rng = random.Random(f"{seed} store")
    for far in [0.0, 0.08]:
        times = store.news_late(far, far, size, rng)
        checks.close(f"revoked at the store, {far * 1000:.0f} ms away: the mean", mean(times), (store.NEWS_EVERY + far) / 2, 0.03)
        checks.at_most("and all within the second of docs/replicas.md", times[-1], 1.0)
    checks.holds("a token by secret waits for no store", store.request("a token by secret", 1e-4, 0.5).seconds == 1e-4, 0)
    checks.holds("two round trips take twice as long as one", math.isclose(
        store.request("revoking a refresh token", 0, 0.1).seconds, 2 * store.request("a refresh", 0, 0.1).seconds,
    ), 0)
    share = store.refused_share([0.0] * 8000, 0.001)
    checks.close("a store that gets ten times what it can do in its time refuses nine of ten", share, 0.9, 0.01)
    checks.holds("a store that is too far refuses", store.request("a refresh", 0, 0.9).refused, 0)
    checks.at_most("the store is there again within three seconds", store.reconnected_late(60.0, False, size, rng)[-1], 3.0)

    for lasts, refused in [(60.0, True), (7200.0, False)]:
        found = region.services(world, lasts, refused, seed, size)
        heals = sorted(one.heals for one in found)
        longest = max(region.LONGEST_PAUSE, world.bundle_ttl) + region.FETCH_TIMEOUT
        checks.at_most(f"after {lasts:.0f} s a service follows again within a minute and an attempt", heals[-1], longest)
        checks.holds("and none before the end", heals[0] >= 0, heals[0])
        lists = region.list_lifetime(world.list_ttl)
        ends = sorted(one.list_refuses for one in found)
        checks.holds(
            "a status list ends as the documentation says", lists - 2 * world.list_ttl <= ends[0] - region.LIST_LEEWAY
            and ends[-1] - region.LIST_LEEWAY <= lists, (ends[0], ends[-1]),
        )
        ends = sorted(one.bundle_refuses for one in found)
        checks.holds(
            "a bundle ends between a day and a day and an hour after it was fetched",
            24 * 3600 - world.bundle_ttl <= ends[0] - region.LEEWAY and ends[-1] - region.LEEWAY <= 25 * 3600, (ends[0], ends[-1]),
        )


def promised(checks, world, kind, tally, cached):
    """What SECURITY.md and docs/explanations/keys.md say of defaults, as far as it holds with a cache."""
    replicas = world.sync + world.poll + world.settle + (0.0 if kind.name == "key set" else world.reload)
    longest = tally.late[-1] - replicas
    if kind.name == "key set":
        checks.at_most("a new key is everywhere before it signs", tally.late[-1], world.publish_ahead)
        checks.at_most("a key set is kept for one max-age in a cache and one outside it", longest, 2 * world.keys_max_age + 1)
    elif not cached:
        checks.at_most(f"{kind.name}: one pause after the replicas", longest, kind.pause(kind.max_age, 0) + 2 * world.latency)
    else:
        # a cache may have asked a replica that was not there yet
        checks.at_most(f"{kind.name} behind a cache: two lifetimes after the replicas", longest, 2 * kind.max_age + 2)
