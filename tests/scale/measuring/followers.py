"""A thousand real followers of one server, and as many behind a cache: what they ask, what it costs, how late they know.

Each follows the key set, the bundle of its API and one status list, by the rules of docs/services.md. The cache is Varnish.
"""

import asyncio
import base64
import json
import random
import re
import time
import zlib
from dataclasses import dataclass, field, replace

from simulator import documents
from simulator.figures import percentile
from simulator.region import FIRST_PAUSE
from simulator.world import World

from .servers import Connection, cpu_of_each, free_port, name_of, replace_file, token, write_policies

APIS, CLIENTS, LISTED = 20, 1000, 50
# short settings, so that minutes hold as many polls as an hour of the defaults
BUNDLE_TTL, LIST_TTL, PUBLISH_AHEAD = 20, 20, 80
# times between edits, and between rotations: each reaches everybody before the next
EDIT_EVERY, ROTATE_EVERY = 45.0, 50.0
TERMS = {"JETON__KEYS__PUBLISH_AHEAD": f"{PUBLISH_AHEAD}s"}
VARNISH = """vcl 4.1;
backend jeton {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_backend_response {{ set beresp.grace = 0s; set beresp.keep = 10m; }}
"""


@dataclass
class Polls:
    """What the followers of one kind of document asked and got, and when each knew of each edit."""

    asked: int = 0
    unchanged: int = 0
    late: list = field(default_factory=list)
    missing: int = 0
    failed: int = 0


class Edits:
    """The edits of this run, by kind: when each was made."""

    def __init__(self):
        self.of_policies, self.of_keys, self.keys = [], [], KeysSeen()


def claims(token):
    part = token.split(b".")[1]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


class KeysSeen:
    """The keys of this run in the order in which they were made."""

    def __init__(self):
        self.order = []

    def last_in(self, body):
        return max(self.order.index(key["kid"]) for key in json.loads(body)["keys"])


def edit_in_bundle(body):
    """Edit number n revokes what was issued in the first n days of 2026."""
    if body[:2] == b"\x1f\x8b":
        body = zlib.decompress(body, 47)
    found = re.search(rb'"revoked_before":"2026-01-(\d\d)', claims(body))
    return int(found.group(1)) - 1 if found else 0


def edit_in_list(body):
    """A list has a bit for each minute since 2026."""
    packed = json.loads(claims(body))["status_list"]["lst"]
    bits = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    return bits.count(b"\xff") * 8 // (24 * 60)


class Follower:
    """One document at one service."""

    def __init__(self, path, pause, seen, headers):
        self.path, self.pause, self.seen, self.headers = path, pause, seen, headers

    async def follow(self, port, made, polls, first, until):
        """Asks until then. `made` are the times of the edits, of which more come while it follows."""
        connection, etag, before, reached = Connection(port), None, None, 0
        await asyncio.sleep(first)
        while time.monotonic() < until:
            try:
                answer = await connection.ask("GET", self.path, [*self.headers, *([("If-None-Match", etag)] if etag else [])])
            except (OSError, EOFError, TimeoutError):
                polls.failed += 1
                await asyncio.sleep(FIRST_PAUSE)
                continue
            now = time.time()
            polls.asked += 1
            if answer.status == 304:
                polls.unchanged += 1
            elif answer.status == 200:
                etag, seen = answer.headers["etag"], self.seen(answer.body)
                before = seen if before is None else before
                while reached < seen - before:
                    polls.late.append(now - made[reached])
                    reached += 1
            else:
                raise RuntimeError(f"{self.path}: {answer.status}")
            age = int(answer.headers.get("age", "0"))
            max_age = int(re.search(r"max-age=(\d+)", answer.headers["cache-control"]).group(1))
            await asyncio.sleep(self.pause(max(max_age - age, 0), age))
        polls.missing += len(made) - reached
        connection.close()


def revoked(number):
    """For each client that has a list, the edit of this number."""
    return f"    status_list: true\n    revoked_before: 2026-01-{number + 1:02}T00:00:00Z\n"


def active_key(held):
    return next(line.split()[1] for line in held.run("keys", "list").splitlines() if line.startswith("active"))


async def edit(held, edits, until):
    """Revokes and rotates, again and again, until it would be too late for all to hear of it."""
    path = held.folder / "policies" / "policies.yaml"
    original, number = path.read_text(), 0
    next_edit, next_rotation = time.monotonic() + 30.0, time.monotonic() + 45.0
    edits.keys.order.append(active_key(held))
    while (now := time.monotonic()) < until:
        if now >= next_edit:
            number += 1
            edits.of_policies.append(time.time())
            replace_file(path, original.replace("    status_list: true\n", revoked(number)))
            next_edit = now + EDIT_EVERY
        if now >= next_rotation:
            # a new key takes the place of the old one at once, so that many rotations fit into minutes
            edits.of_keys.append(time.time())
            await asyncio.to_thread(held.run, "keys", "rotate", "--now", **TERMS)
            edits.keys.order.append(active_key(held))
            next_rotation = now + ROTATE_EVERY
        await asyncio.sleep(0.05)


async def follow_all(server, port, edits, count, until, rng, pauses, handles):
    polls = {"key set": Polls(), "bundle": Polls(), "status list": Polls()}
    tasks = []
    for number in range(count):
        gzip = [("Accept-Encoding", "gzip")]
        for kind, path, seen, made, headers, most in [
            ("key set", "/.well-known/jwks.json", edits.keys.last_in, edits.of_keys, [], PUBLISH_AHEAD // 2),
            ("bundle", f"/policies/big-{number % APIS}", edit_in_bundle, edits.of_policies, gzip, BUNDLE_TTL),
            ("status list", f"/status/{handles[rng.randrange(LISTED)]}", edit_in_list, edits.of_policies, [], LIST_TTL),
        ]:
            follower = Follower(path, pauses[kind], seen, headers)
            tasks.append(follower.follow(port, made, polls[kind], rng.random() * most, until))
    await asyncio.gather(*tasks)
    for found in polls.values():
        found.late.sort()
    return polls


async def handle_of(server, client):
    """Where the status list of a client is, as its token says."""
    connection = Connection(server.port)
    answer = await token(connection, client)
    connection.close()
    uri = json.loads(claims(json.loads(answer.body)["access_token"].encode()))["status"]["status_list"]["uri"]
    return uri.rsplit("/", 1)[1]


def world(count, minutes, edits, cached):
    return World(
        services=count, regions=1, replicas=1, edges=1, apis=APIS, listed=LISTED, lists=1, sync=0.0, bundle_ttl=BUNDLE_TTL,
        list_ttl=LIST_TTL, keys_max_age=PUBLISH_AHEAD // 2, publish_ahead=float(PUBLISH_AHEAD), latency=0.02 if cached else 0.01,
        hours=minutes / 60, edits=edits,
    )


async def alone(server, idle, count=1200, connections=300, every=0.0075):
    """CPU of a 304 that comes alone, as polls do: to a server that sleeps, on a connection that was not used for a while."""
    sent = [("Accept-Encoding", "gzip")]
    asking = [Connection(server.port) for _ in range(connections)]
    for connection in asking:
        etag = (await connection.ask("GET", "/policies/big-0", sent)).headers["etag"]
    before, begun = server.cpu(), time.monotonic()
    for number in range(count):
        await asking[number % connections].ask("GET", "/policies/big-0", [*sent, ("If-None-Match", etag)])
        await asyncio.sleep(every)
    spent, lasted = server.cpu() - before, time.monotonic() - begun
    for connection in asking:
        connection.close()
    return (spent - idle * lasted) / count


async def run(held, server, costs, report, count, minutes, seed):
    rng = random.Random(f"{seed} followers")
    handles = [await handle_of(server, name_of(number)) for number in range(LISTED)]
    cache = free_port()
    (held.folder / "jeton.vcl").write_text(VARNISH.format(port=server.port))
    held.start(
        ["varnishd", "-j", "none", "-F", "-a", f"127.0.0.1:{cache}", "-f", str(held.folder / "jeton.vcl"), "-s", "malloc,64m",
         "-n", str(held.folder / "varnish"), "-p", "timeout_idle=75", "-p", "thread_queue_limit=10000"], cache,
    )
    one = world(count, minutes, 1, False)
    kinds = {kind.name: kind for kind in [documents.keys(one), documents.bundles(one), documents.status_lists(one)]}
    pauses = {name: kind.pause for name, kind in kinds.items()}
    print(f"{count} followers, and {count} behind a cache, for {minutes} minutes", flush=True)
    before = server.cpu()
    await asyncio.sleep(10.0)
    idle = (server.cpu() - before) / 10.0
    poll = await alone(server, idle)
    report.row("CPU of a 304 that comes alone", "time", costs.unchanged_alone, poll, 3.0)
    edits, until, before = Edits(), time.monotonic() + minutes * 60, server.cpu()
    editing = asyncio.create_task(edit(held, edits, until - 65.0))
    direct, cached = await asyncio.gather(
        follow_all(server, server.port, edits, count, until, rng, pauses, handles),
        follow_all(server, cache, edits, count, until, rng, pauses, handles),
    )
    await editing
    spent = server.cpu() - before
    print(f"  {len(edits.of_policies)} revocations, {len(edits.of_keys)} rotations, {spent:.2f} s of CPU", flush=True)
    for name, kind in kinds.items():
        made = edits.of_keys if name == "key set" else edits.of_policies
        for polls, is_cached in [(direct[name], False), (cached[name], True)]:
            compare(report, kind, polls, world(count, minutes, len(made), is_cached), is_cached, seed)
    # without a cache, each poll; with one, next to nothing; each list once in its window; and the polls of the folder
    asked, windows = sum(polls.asked for polls in direct.values()), minutes * 60 / LIST_TTL + len(edits.of_policies)
    model = asked * poll + LISTED * windows * costs.sign_status_list + idle * minutes * 60
    why = "edits, rotations and new connections are not in the model"
    report.row("CPU of the server while all follow", "time", model, spent, 2.0, why)


def compare(report, kind, polls, one, is_cached, seed):
    tally, _ = documents.followed(kind, one, seed, is_cached)
    # one cache of few documents: many edits, so that it is not the time of a few that counts
    many, _ = documents.followed(kind, replace(one, hours=2.0, edits=80), seed, is_cached)
    name = f"{kind.name}{', cache' if is_cached else ''}"
    report.holds(f"{name}: every edit reached every follower", polls.missing == 0, polls.missing)
    report.holds(f"{name}: no poll in a thousand failed", polls.failed <= polls.asked / 1000, polls.failed)
    report.row(f"{name}: polls a second", "rate", tally.asked / one.hours / 3600, polls.asked / one.hours / 3600)
    # one less for each follower: its first answer is never a 304
    report.row(
        f"{name}: full answers for each follower", "rate", tally.full / one.services,
        (polls.asked - polls.unchanged) / one.services - 1,
    )
    for share, told in [(0.5, "p50"), (0.999, "p99.9")]:
        report.row(f"{name}: an edit is late, {told}", "time", percentile(many.late, share), percentile(polls.late, share))


async def costs_of_each(server, report, costs):
    """CPU and bytes of one answer of each kind, which the simulator takes."""
    handles = [await handle_of(server, name_of(number)) for number in range(LISTED)]
    # into the next window, in which each list is signed anew
    await asyncio.sleep(LIST_TTL - time.time() % LIST_TTL + 0.5)
    before = await cpu_of_each(server, LISTED, 1, lambda connection, n: connection.ask("GET", f"/status/{handles[n]}"))
    again = await cpu_of_each(server, LISTED, 1, lambda connection, n: connection.ask("GET", f"/status/{handles[n]}"))
    report.row("CPU to sign a status list", "time", costs.sign_status_list, before - again)
    handle = handles[0]
    for name, path, headers in [
        ("key set", "/.well-known/jwks.json", []), ("bundle", "/policies/big-0", [("Accept-Encoding", "gzip")]),
        ("status list", f"/status/{handle}", []),
    ]:
        connection = Connection(server.port)
        answer = await connection.ask("GET", path, headers)
        known = [*headers, ("If-None-Match", answer.headers["etag"])]
        unchanged = await connection.ask("GET", path, known)
        connection.close()
        ask = lambda sent: lambda connection, _: connection.ask("GET", path, sent)
        report.note(f"{name}: bytes", "bytes", answer.size)
        report.note(f"{name}: bytes of a 304", "bytes", unchanged.size)
        report.note(f"{name}: CPU", "time", await cpu_of_each(server, 4000, 8, ask(headers)))
        report.row(f"{name}: CPU of a 304", "time", costs.unchanged, await cpu_of_each(server, 4000, 8, ask(known)))


def measure(held, costs, report, count, minutes, seed, core):
    write_policies(held.folder / "policies", CLIENTS, APIS)
    path = held.folder / "policies" / "policies.yaml"
    text = path.read_text()
    for number in range(LISTED):
        text = text.replace(f"tenant: tenant-{number} }}\n", f"tenant: tenant-{number} }}\n    status_list: true\n")
    path.write_text(text)
    server = held.serve("followed", core=core, **{
        "policies.bundle_ttl": f"{BUNDLE_TTL}s", "tokens.status_list_ttl": f"{LIST_TTL}s", "keys.publish_ahead": f"{PUBLISH_AHEAD}s",
    })
    asyncio.run(costs_of_each(server, report, costs))
    asyncio.run(run(held, server, costs, report, count, minutes, seed))
