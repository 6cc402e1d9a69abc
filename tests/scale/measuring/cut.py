"""A region that is cut off: a replica without the store, and services without their replica."""

import asyncio
import json
import random
import re
import time

from simulator import region, store
from simulator.figures import percentile
from simulator.world import World

from .proxy import Way
from .servers import Connection
from .signed import Key
from .store import SECRET, Asked, ready, write_clients

# short cuts, for the distribution of the time until it has healed
CUTS, REPLICAS = 10, 4
SERVICES, BUNDLE_TTL = 200, 10
WAITS = ["a token by assertion", "a refresh", "a token by secret, with a DPoP proof", "revoking an access token"]
GOES_ON = ["a token by secret", "a decision, an introspection"]


class Region:
    """What is asked at one replica while its store is cut off."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.answers = {}

    async def ask(self, kind, until, made):
        """This kind again and again; notes each status and how long it took."""
        asked = Asked(self.server, self.key)
        while time.monotonic() < until:
            begun = time.perf_counter()
            try:
                await self.prepared(asked, kind, made)
                status = 200
            except Refused as refused:
                status = refused.status
            self.answers.setdefault(kind, []).append((status, time.perf_counter() - begun))
            await asyncio.sleep(0.1)
        asked.connection.close()

    async def prepared(self, asked, kind, made):
        """With tokens from before the cut, as clients have them."""
        client = f"{SECRET}-refreshing"
        if kind == "a refresh":
            _, answer = await asked.token({"grant_type": "refresh_token", "refresh_token": made["refresh_token"]}, client)
        elif kind == "revoking an access token":
            _, answer = await asked.form("/oauth2/revoke", {"token": made["access_token"]}, client)
        elif kind == "a decision, an introspection":
            _, answer = await asked.form("/oauth2/introspect", {"token": made["own"]}, SECRET)
        elif kind == "a token by assertion":
            _, answer = await asked.token(asked.by_assertion())
        else:
            _, answer = await asked.token({"grant_type": "client_credentials"}, SECRET, "DPoP" in kind)
        if answer.status != 200:
            raise Refused(answer)


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(answer.status)
        self.status, self.answer = answer.status, answer


async def prepare(server, key):
    asked = Asked(server, key)
    _, answer = await asked.token({"grant_type": "client_credentials"}, f"{SECRET}-refreshing")
    _, own = await asked.token({"grant_type": "client_credentials"}, SECRET)
    asked.connection.close()
    return json.loads(answer.body) | {"own": json.loads(own.body)["access_token"]}


async def healed(server, key):
    """Seconds until an assertion is taken."""
    asked, begun = Asked(server, key), time.monotonic()
    while True:
        _, answer = await asked.token(asked.by_assertion())
        if answer.status == 200:
            asked.connection.close()
            return time.monotonic() - begun
        await asyncio.sleep(0.01)


async def without_store(server, other, way, key, report, lasts):
    """One long cut: each kind of request at the replica, and at the other one."""
    made, at_other = await prepare(server, key), await prepare(other, key)
    await way.cut(refuse=False)
    await asyncio.sleep(2.0)  # the replica has noticed
    cut, fine = Region(server, key), Region(other, key)
    until = time.monotonic() + lasts - 2.0
    await asyncio.gather(
        *(cut.ask(kind, until, made) for kind in [*WAITS, *GOES_ON]),
        *(fine.ask(kind, until, at_other) for kind in ["a token by assertion", *GOES_ON]),
    )
    await way.mend()
    report.note(f"cut off for {lasts:.0f} s: the store is there again after", "time", await healed(server, key))
    for kind in WAITS:
        statuses = {status for status, _ in cut.answers[kind]}
        taken = sorted(taken for _, taken in cut.answers[kind])
        report.holds(f"without the store, {kind}: {len(cut.answers[kind])} times 503", statuses == {503}, statuses)
        half = percentile(taken, 0.5)
        report.holds("and half of them within a second", half < 1.0, f"{half:.3f} s, the last {taken[-1]:.3f} s")
    for one, name in [(cut, "without the store"), (fine, "at the other replica")]:
        for kind, answers in one.answers.items():
            if one is fine or kind in GOES_ON:
                statuses = {status for status, _ in answers}
                report.holds(f"{name}, {kind}: {len(answers)} times 200", statuses == {200}, statuses)


async def short_cuts(servers, way, key, report, seed):
    """How long until the store is there again, at each of some replicas."""
    rng = random.Random(f"{seed} cuts")
    for refuse in [True, False]:
        times, model = [], []
        for _ in range(CUTS):
            await way.cut(refuse)
            lasts = 12.0 + rng.random() * 3
            await asyncio.sleep(lasts)
            await way.mend()
            model += store.reconnected_late(lasts, refuse, 2000, rng)
            times += await asyncio.gather(*(healed(server, key) for server in servers))
        times.sort()
        model.sort()
        name = "refused" if refuse else "without an answer"
        report.row(f"a store that was {name}: again after, p50", "time", percentile(model, 0.5), percentile(times, 0.5))
        report.row(f"the last of {len(times)}", "time", percentile(model, 1 - 0.5 / len(times)), times[-1])


async def service(way, phase, healing):
    """Follows a bundle, as docs/services.md says; notes when it had the first one after the end."""
    await asyncio.sleep(phase)
    connection, failures, etag = Connection(way.port, patience=region.FETCH_TIMEOUT), 0, None
    while True:
        try:
            answer = await connection.ask("GET", "/policies/big-0", [("If-None-Match", etag)] if etag else [])
        except (OSError, EOFError, TimeoutError):
            wait = min(region.FIRST_PAUSE * 2**failures, region.LONGEST_PAUSE)
            failures += 1
        else:
            etag, failures = answer.headers["etag"], 0
            if healing.is_set():
                return time.monotonic()
            wait = int(re.search(r"max-age=(\d+)", answer.headers["cache-control"]).group(1))
        await asyncio.sleep(wait)


async def without_replica(server, report, lasts, seed):
    """Services whose replica is cut off: when each follows again."""
    rng = random.Random(f"{seed} services")
    way, healing = await Way(server.port).start(), asyncio.Event()
    tasks = [asyncio.create_task(service(way, rng.random() * BUNDLE_TTL, healing)) for _ in range(SERVICES)]
    await asyncio.sleep(2 * BUNDLE_TTL)
    await way.cut(refuse=True)
    await asyncio.sleep(lasts)
    await way.mend()
    healing.set()
    ended = time.monotonic()
    heals = sorted(at - ended for at in await asyncio.gather(*tasks))
    await way.stop()
    found = region.services(World(bundle_ttl=BUNDLE_TTL), lasts, True, seed)
    model = sorted(one.heals for one in found)
    for share, name in [(0.5, "p50"), (0.999, "p99.9")]:
        what = f"{SERVICES} services cut off for {lasts:.0f} s follow again, {name}"
        report.row(what, "time", percentile(model, share), percentile(heals, share))


async def run(held, report, lasts, seed):
    key = Key()
    write_clients(held.folder / "policies", key)
    port = held.redis()
    way = await Way(port).start()
    behind = {"store.url": f"redis://127.0.0.1:{way.port}", "policies.bundle_ttl": f"{BUNDLE_TTL}s"}
    server = held.serve("cut", **behind)
    more = [held.serve(f"cut-{number}", issuer=server.issuer, **behind) for number in range(1, REPLICAS)]
    other = held.serve("other", issuer=server.issuer, **{"store.url": f"redis://127.0.0.1:{port}"})
    for each in [server, other, *more]:
        await ready(each)
    print(f"a replica without its store for {lasts:.0f} s, then {2 * CUTS} short cuts; services without their replica", flush=True)
    services = asyncio.create_task(without_replica(server, report, lasts, seed))
    await without_store(server, other, way, key, report, lasts)
    await short_cuts([server, *more], way, key, report, seed)
    await services
    await way.stop()


def measure(held, report, lasts, seed):
    asyncio.run(run(held, report, lasts, seed))
