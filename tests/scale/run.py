#!/usr/bin/env python3
"""Simulates many clients, services, replicas and regions from measured costs, and checks the simulator. README.md."""

import argparse
import dataclasses
import random
import sys
import time

from simulator import checks as held
from simulator import documents, region, store, turn
from simulator.costs import Costs
from simulator.figures import duration, number, percentile, size, table
from simulator.world import World

SHORT = {"clients": 50_000, "services": 1_000, "replicas": 10, "apis": 50, "listed": 1_000, "hours": 0.5, "edits": 4}
# ways to the store and back, in seconds: the same rack, a region next door, another continent, the other side of the world
FAR = [0.001, 0.02, 0.08, 0.25]
CUTS = [60.0, 3600.0, 2 * 3600.0, 26 * 3600.0]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--short", action="store_true", help="a small world, for CI")
    for field in dataclasses.fields(World):
        kind = {int: int, "int": int}.get(field.type, float)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, help=f"default: {field.default}")
    given = parser.parse_args()
    chosen = {field.name: getattr(given, field.name) for field in dataclasses.fields(World)}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    try:
        world = World(**(SHORT if given.short else {}) | chosen)
    except ValueError as error:
        parser.error(str(error))
    costs = Costs.read()
    if not world.reload:
        world = dataclasses.replace(world, reload=world.clients * costs.client_edit)
    return given, world, costs


def clients(world, costs):
    """What grows with them at each replica, by what one of them costs."""
    near = world.clients / world.apis
    rows = [
        ("CPU of a start", duration(world.clients * costs.client_start)),
        ("memory after a start", size(world.clients * costs.client_resident)),
        ("memory at most, while an edit is read", size(world.clients * costs.client_at_most)),
        ("CPU of an edit", duration(world.clients * costs.client_edit)),
        ("cores busy with polls of the folder", f"{world.clients * costs.client_look / world.poll:.1%}" if world.poll else "0"),
        (f"one of {world.apis} bundles, gzip", size(costs.bundle + near * costs.client_in_bundle)),
        ("CPU to sign it, each hour and edit", duration(costs.raw_signature + near * costs.client_signed)),
        ("CPU to sign all bundles", duration(world.apis * costs.raw_signature + world.clients * costs.client_signed)),
        ("CPU of the first status list after an edit", duration(world.clients * costs.client_first_list)),
        ("a scrape of the metrics", size(world.clients * costs.client_scraped)),
    ]
    print(table(f"Each replica, with {number(world.clients)} clients", ["", ""], rows))


def turns(world, costs, seed, checks):
    rows = list(turn.turn_of_the_hour(world, costs, seed))
    held.turns(checks, world, costs, rows)
    print(table(
        f"Tokens at the turn of the hour: {number(world.clients)} clients, {world.replicas} replicas with {world.cores} cores",
        ["way of asking", "tokens", "most a second", "CPU", "p50", "p99", "p99.9", "last answer"],
        [[
            name, number(waits.asked), number(waits.peak), duration(waits.busy),
            *(duration(waits.at(share)) for share in [0.5, 0.99, 0.999]), duration(waits.last),
        ] for name, _, waits in rows],
    ))
    rng = random.Random(f"{seed} cores")
    burst = turn.cron(world, rng)
    print(table(
        "Cores of all replicas for cron at :00 by secret",
        ["p99 at most", "cores"],
        [[duration(most), number(turn.cores_needed(world, burst, costs.token_by_secret, most, rng))] for most in [0.1, 0.5, 1.0, 5.0]],
    ))
    shares = []
    for clients, sticky in [(world.clients, False), (world.clients, True), (world.clients // 10, False), (world.clients // 10, True)]:
        share = turn.reused_share(clients, world.replicas, sticky, rng)
        cost = share * costs.token_reused + (1 - share) * costs.token_by_secret
        shares.append([
            f"{number(clients)}, {'each at its replica' if sticky else 'at any replica'}",
            f"{share:.1%}", number(clients / 60 * cost),
        ])
    print(table("`tokens.reuse` of five minutes, jobs that ask every minute", ["clients", "reused", "cores busy"], shares))


def follow(world, costs, seed, checks, short):
    sizes = {
        "key set": (costs.key_set, costs.key_set_unchanged),
        "bundle": (costs.bundle + world.clients / world.apis * costs.client_in_bundle, costs.bundle_unchanged),
        "status list": (costs.status_list, costs.status_list_unchanged),
    }
    traffic, lateness = [], []
    for kind in [documents.keys(world), documents.bundles(world), documents.status_lists(world)]:
        for cached in [False, True]:
            # lists are most of the requests: one cache of each region shows what all do
            caches = 1 if kind.name == "status list" and not short else None
            tally, times = documents.followed(kind, world, seed, cached, caches)
            follows = world.lists if kind.name == "status list" else 1
            rate = world.services * follows * world.hours * 3600 / times / (kind.pause(kind.max_age, 0) + world.latency / 2)
            held.conserved(checks, kind, tally, cached, rate)
            held.promised(checks, world, kind, tally, cached)
            full, unchanged = sizes[kind.name]
            seconds = world.hours * 3600 / times
            at_replicas = (tally.origin_full * full + tally.origin_unchanged * unchanged) / seconds
            signed = min(tally.origin_full / seconds, world.listed * world.replicas / world.list_ttl) if kind.name == "status list" else 0
            cores = tally.origin_asked / seconds * costs.unchanged_alone + signed * costs.sign_status_list
            name = f"{kind.name}, {'CDN' if cached else 'no CDN'}"
            traffic.append([
                name, number(tally.asked / seconds), f"{tally.hits / tally.asked:.1%}", f"{tally.unchanged / tally.asked:.1%}",
                number(tally.origin_asked / seconds), f"{tally.origin_unchanged / tally.origin_asked:.1%}",
                size(at_replicas) + "/s", f"{cores:.2g}",
            ])
            lateness.append([name, *(duration(percentile(tally.late, share)) for share in [0.5, 0.99, 0.999]), duration(tally.late[-1])])
    print(table(
        f"Documents: {number(world.services)} services, {world.edges * world.regions} caches where there is a CDN",
        ["document", "asked/s", "hits", "304", "replicas asked/s", "304 there", "bytes of replicas", "cores"], traffic,
    ))
    print(table(
        f"How late an edit arrives (a revocation; for the key set a new key), with folders {world.sync:.0f} s apart",
        ["document", "p50", "p99", "p99.9", "last"], lateness,
    ))


def far_store(world, costs, seed):
    cost = {"a token by secret": costs.token_by_secret, "a decision, an introspection": costs.gateway_question}
    print(table(
        "A store that is far away: the time of a request without a queue", ["request", "round trips", *map(duration, FAR), "1 s"],
        [[kind, trips, *(
            "503" if (taken := store.request(kind, cost.get(kind, costs.token_by_assertion), far)).refused else duration(taken.seconds)
            for far in [*FAR, 1.0]
        )] for kind, trips in store.ROUND_TRIPS.items()],
    ))
    rng = random.Random(f"{seed} news")
    late = [store.news_late(far, FAR[0], 20_000, rng) for far in FAR]
    print(table(
        "How late a replica knows of `/oauth2/revoke`, by its way to the store", ["", *map(duration, FAR)],
        [[name, *(duration(percentile(times, share)) for times in late)] for name, share in [("p50", 0.5), ("p99.9", 0.999)]],
    ))
    all_assert = world.clients / (world.token_ttl - world.margin)
    print(table(
        "What the store does", ["", "commands/s", "names that it keeps"],
        [
            ["nobody signs in by assertion", number(store.commands(world, 0)), "0"],
            ["all do, each at its own time", number(store.commands(world, all_assert)), size(all_assert * costs.kept_for * costs.name_in_store)],
            ["all do, cron at :00", number(world.clients / world.cron_spread), size(world.clients * costs.name_in_store)],
        ],
    ))
    bursts = [("cron at :00", turn.cron), (f"jitter over {world.jitter:.0f} s", turn.with_jitter)]
    print(table(
        f"Assertions of {number(world.clients)} clients at a store that takes {duration(costs.store_command)} for each",
        ["", "503 because it is too late"],
        [[name, f"{store.refused_share(ask(world, rng), costs.store_command):.1%}"] for name, ask in bursts],
    ))


def cut_off(world, seed):
    rows = []
    for lasts in CUTS:
        found = region.services(world, lasts, False, seed)
        share = lambda end: f"{sum(end(one) <= lasts for one in found) / len(found):.0%}"
        tokens = region.token_left(world, random.Random(f"{seed} tokens"), 10_000)
        heals = sorted(one.heals for one in found)
        rows.append([
            duration(lasts), f"{sum(left <= lasts for left in tokens) / len(tokens):.0%}", share(lambda one: one.list_refuses),
            share(lambda one: one.bundle_refuses), duration(percentile(heals, 0.5)), duration(percentile(heals, 0.999)),
        ])
    print(table(
        "Services and clients that reach no replica, at the end of the cut",
        ["cut", "clients without a token", "services whose lists have ended", "whose bundles have", "follow again: p50", "p99.9"], rows,
    ))
    rng = random.Random(f"{seed} again")
    rows = []
    for lasts in CUTS:
        again = store.reconnected_late(min(lasts, 600.0), False, 10_000, rng)
        late = lasts + world.sync + world.poll + world.settle + world.reload
        rows.append([
            duration(lasts), duration(percentile(again, 0.5)), duration(again[-1]), duration(late),
            duration(region.unknown_keys(world, lasts, -1.0)), duration(region.unknown_keys(world, lasts, 0.0)),
        ])
    print(table(
        "Replicas of a region that reach neither the store nor the folders of the others",
        [
            "cut", "store there again: p50", "last", "a revocation in the files, at most",
            "a new key is unknown: made before the cut", "made as it begins",
        ], rows,
    ))


def main():
    given, world, costs = arguments()
    print(f"seed {given.seed}: {sys.argv[0]} --seed {given.seed}{' --short' if given.short else ''}", flush=True)
    begun = time.monotonic()
    checks = held.Checks()
    held.costs_fit(checks, costs)
    held.queues(checks, given.seed, 60_000)
    held.reuse(checks, given.seed)
    held.late(checks, world, given.seed, 1_500)
    held.store_and_region(checks, world, given.seed, 10_000)
    clients(world, costs)
    turns(world, costs, given.seed, checks)
    follow(world, costs, given.seed, checks, given.short)
    far_store(world, costs, given.seed)
    cut_off(world, given.seed)
    for failure in checks.failed:
        print(f"error: {failure}", file=sys.stderr)
    print(f"\n{checks.count} checks, {len(checks.failed)} failed, {time.monotonic() - begun:.0f} s, seed {given.seed}")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
