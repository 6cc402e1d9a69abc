"""A shared store that is far away: round trips of each kind of request, and how late the other replica knows."""

import asyncio
import hashlib
import json
import random
import statistics
import subprocess
import time

from simulator import store
from simulator.figures import percentile

from .proxy import Way
from .servers import Connection, Place, basic, cpu_of, secret_of, write_policies
from .signed import ASSERTION_TYPE, Key

FAR = [0.0, 0.02, 0.08]
TURNS, REVOCATIONS, NAMES = 25, 40, 3000
SECRET, SIGNED = "by-secret", "by-key"


def write_clients(folder, key):
    """One client with a secret, that refreshes and introspects, and one with a key."""
    rest = "    grants: { big-0: { roles: [reader] } }\n    claims: { tenant: one }\n"
    pem = "".join(f"          {line}\n" for line in key.public_pem().splitlines())
    write_policies(folder, 1, more=(
        f"  {SECRET}:\n    secrets: [{{ sha256: {digest_of(SECRET)} }}]\n    introspect: true\n{rest}"
        f"  {SECRET}-refreshing:\n    secrets: [{{ sha256: {digest_of(f'{SECRET}-refreshing')} }}]\n    refresh: true\n{rest}"
        f"  {SIGNED}:\n    public_keys:\n      - pem: |\n{pem}{rest}"
    ))


def digest_of(client):
    return hashlib.sha256(secret_of(client).encode()).hexdigest()


class Asked:
    """Requests of each kind at one replica."""

    def __init__(self, server, key):
        self.server, self.key, self.connection = server, key, Connection(server.port)

    async def form(self, path, form, client=None, proof=False):
        headers = [("Authorization", basic(client))] if client else []
        if proof:
            headers.append(("DPoP", self.key.proof(self.server.issuer)))
        body = "&".join(f"{name}={value}" for name, value in form.items())
        begun = time.perf_counter()
        answer = await self.connection.ask("POST", path, headers, body.encode())
        return time.perf_counter() - begun, answer

    async def token(self, form, client=None, proof=False):
        return await self.form("/oauth2/token", form, client, proof)

    def by_assertion(self):
        return {
            "grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.key.assertion(SIGNED, self.server.issuer),
        }

    async def kind(self, kind):
        """Seconds that one request of this kind took."""
        plain, refreshing = {"grant_type": "client_credentials"}, f"{SECRET}-refreshing"
        proof = "DPoP proof" in kind
        if "by secret" in kind:
            taken, answer = await self.token(plain, SECRET, proof)
        elif "by assertion" in kind:
            taken, answer = await self.token(self.by_assertion(), None, proof)
        else:
            client = SECRET if kind == "a decision, an introspection" else refreshing
            held = json.loads((await self.token(plain, client))[1].body)
            if kind == "a refresh":
                taken, answer = await self.token({"grant_type": "refresh_token", "refresh_token": held["refresh_token"]}, client)
            elif kind == "a decision, an introspection":
                taken, answer = await self.form("/oauth2/introspect", {"token": held["access_token"]}, client)
            else:
                token = held["access_token" if "access" in kind else "refresh_token"]
                taken, answer = await self.form("/oauth2/revoke", {"token": token}, client)
        if answer.status != 200:
            raise RuntimeError(f"{kind}: {answer.status} {answer.body[:200]!r}")
        return taken


async def ready(server):
    """Until it has the store."""
    connection = Connection(server.port)
    for _ in range(600):
        answer = await connection.ask("GET", "/readyz")
        if answer.status == 200 and json.loads(answer.body)["store"] == "ready":
            connection.close()
            return
        await asyncio.sleep(0.05)
    raise RuntimeError("the store was never reached")


async def trips(server, way, key, report):
    """How many round trips each kind of request waits for."""
    asked = Asked(server, key)
    taken = {}
    for far in FAR:
        way.far = far
        for kind in store.ROUND_TRIPS:
            taken[kind, far] = statistics.median([await asked.kind(kind) for _ in range(TURNS)])
    asked.connection.close()
    far = FAR[-1]
    for kind, expected in store.ROUND_TRIPS.items():
        own = taken[kind, 0.0]
        measured = (taken[kind, far] - own) / far
        report.holds(f"{kind}: round trips to a store that is {far * 1000:.0f} ms away", round(measured) == expected, f"{measured:.2f}")
        for each in FAR[1:] if expected else []:
            report.row(f"{kind}, {each * 1000:.0f} ms", "time", store.request(kind, own, each).seconds, taken[kind, each])


async def news(one, other, way, key, report, seed):
    """How late the other replica, which is far away, knows of a revocation at the near one."""
    for far in FAR:
        way.far = far
        near, away = Asked(one, key), Connection(other.port)
        late = []
        for number in range(REVOCATIONS):
            held = json.loads((await near.token({"grant_type": "client_credentials"}, SECRET))[1].body)["access_token"]
            await asyncio.sleep(0.25 * number / REVOCATIONS)
            await near.form("/oauth2/revoke", {"token": held}, SECRET)
            begun = time.perf_counter()
            active = True
            while active:
                answer = await away.ask("POST", "/oauth2/introspect", [("Authorization", basic(SECRET))], f"token={held}".encode())
                active = json.loads(answer.body)["active"]
                await asyncio.sleep(0.002)
            late.append(time.perf_counter() - begun)
        near.connection.close()
        away.close()
        late.sort()
        model = store.news_late(far, 0.0, 20_000, random.Random(seed))
        report.row(f"a revocation at the other replica, {far * 1000:.0f} ms, p50", "time", percentile(model, 0.5), percentile(late, 0.5))
        report.row(f"the last of {REVOCATIONS}", "time", percentile(model, 1 - 0.5 / REVOCATIONS), late[-1], 2.0)


async def info(port, name):
    """A figure that the store says of itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"INFO\r\n")
    length = int((await reader.readline())[1:])
    text = (await reader.readexactly(length)).decode()
    writer.close()
    return int(next(line.split(":")[1] for line in text.splitlines() if line.startswith(f"{name}:")))


def command_cpu(held, port, report, costs, count=200_000):
    """CPU of the store for one command, from many connections."""
    redis = held.running[0]
    before = cpu_of(redis.process.pid)
    subprocess.run(
        ["redis-benchmark", "-p", str(port), "-t", "set", "-n", str(count), "-c", "50", "-P", "4", "-q"],
        capture_output=True, check=True, timeout=120,
    )
    report.row("CPU of a command at the store", "time", costs.store_command, (cpu_of(redis.process.pid) - before) / count, 2.0)


async def names(server, port, key, report, costs):
    """What the store keeps for each assertion, and how many commands it gets while nobody asks."""
    asked = Asked(server, key)
    await asked.kind("a token by assertion")
    before = await info(port, "used_memory")
    for _ in range(NAMES):
        await asked.kind("a token by assertion")
    report.row("bytes of a name in the store", "bytes", costs.name_in_store, (await info(port, "used_memory") - before) / NAMES)
    asked.connection.close()
    before, begun = await info(port, "total_commands_processed"), time.monotonic()
    await asyncio.sleep(10)
    return (await info(port, "total_commands_processed") - before) / (time.monotonic() - begun)


async def run(held: Place, costs, report, seed):
    key = Key()
    write_clients(held.folder / "policies", key)
    port = held.redis()
    way = await Way(port).start()
    address = f"redis://127.0.0.1:{way.port}"
    far = held.serve("far", **{"store.url": address})
    near = held.serve("near", issuer=far.issuer, **{"store.url": f"redis://127.0.0.1:{port}"})
    print("a store behind a way that takes time", flush=True)
    await ready(far)
    await ready(near)
    await trips(far, way, key, report)
    await news(near, far, way, key, report, seed)
    way.far = 0.0
    await asyncio.to_thread(command_cpu, held, port, report, costs)
    rate = await names(near, port, key, report, costs)
    # a script is one command, and so is each of the two or three that it calls; INFO itself is one
    report.note("commands/s of two idle replicas, those in scripts too", "rate", rate)
    await way.stop()


def measure(held, costs, report, seed):
    asyncio.run(run(held, costs, report, seed))
