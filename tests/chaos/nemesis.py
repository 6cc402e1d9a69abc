"""The nemesis: draws faults by the seed of the world, and undoes each of them in the end.

Each fault is a line of the history, from just before it began to when it was undone. What a fault is about is busy meanwhile,
so that no two faults undo each other.
"""

import asyncio
import contextlib
import math
import random
import subprocess
import time

import net
from net import REPLICAS, Part
from policies import VICTIMS
from servers import CONT, HUP, KILL, STOP, TERM
from wire import opened


class Nemesis:
    def __init__(self, world, clients):
        self.world, self.clients = world, clients
        self.draw = random.Random(f"nemesis {world.terms.seed}")
        self.over = asyncio.Event()
        self.busy = set()
        # of each fault: how often it is drawn, and what is busy meanwhile
        each = {node: [node] for node in REPLICAS}
        store, part = ["store"], {node: [f"link {node}"] for node in REPLICAS}
        self.faults = [
            *((3, self.kill, node, busy) for node, busy in each.items()),
            *((3, self.drain, node, busy) for node, busy in each.items()),
            *((3, self.stop, node, busy) for node, busy in each.items()),
            *((3, self.clock, node, [f"clock {node}"]) for node in REPLICAS),
            *((0.7, self.wild_clock, node, ["clock r1", "clock r2", "clock r3"]) for node in REPLICAS),
            *((3, self.store_cut, node, busy) for node, busy in part.items()),
            *((1.5, self.store_lossy, node, busy) for node, busy in part.items()),
            *((1.5, self.gateway_cut, node, [f"gateway {node}"]) for node in REPLICAS),
            *((1, self.client_cut, node, [f"clients {node}"]) for node in REPLICAS),
            (4, self.store_stop, "store", store), (4, self.store_slow, "store", store), (4, self.store_kill, "store", store),
            (3, self.failover, "store", store), (2, self.lossy_failover, "store", store), (1.5, self.wipe, "store", store),
            (2, self.store_full, "store", store),
            (3, self.keys_full, "keys", ["keys"]), (3, self.policies_full, "policies", ["policies"]),
            (2, self.decisions_full, "decisions", ["decisions"]),
            (4, self.keys_torn, "keys", ["keys"]), (4, self.policies_torn, "policies", ["policies"]),
            (5, self.rotate, "keys", ["keys"]), (3, self.reloads, "policies", []),
            (4, self.certificates, "tls", ["tls"]), (1.5, self.gateway_kill, "gw", ["gw"]),
        ]

    async def rage(self, seconds):
        """Faults for so long; when this returns, all are undone."""
        until = self.world.recorder.now() + seconds
        running = set()
        while (left := until - self.world.recorder.now()) > 0:
            await asyncio.sleep(min(left, self.draw.expovariate(1 / 0.9)))
            free = [fault for fault in self.faults if not self.busy & set(fault[3])]
            [(_, what, of, busy)] = self.draw.choices(free, [fault[0] for fault in free])
            running.add(asyncio.create_task(self.bring(what, of, busy)))
        self.over.set()
        for done in asyncio.as_completed(running):
            await done

    async def bring(self, what, of, busy):
        self.busy |= set(busy)
        begin = self.world.recorder.now()
        try:
            told = await what(of) or {}
        finally:
            self.busy -= set(busy)
        kind = what.__name__.replace("_", "-")
        self.world.recorder.line("fault", kind=kind, of=of, **{"begin": begin, "end": self.world.recorder.now()} | told)

    async def pause(self, least, most):
        """Waits for a drawn time, or until all is to be undone."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), self.draw.uniform(least, most))

    # --- replicas

    async def kill(self, node):
        await self._down(self.world.replicas[node], KILL)

    async def _down(self, server, number):
        server.hold(number)
        await server.ended()
        await self.pause(0.1, 3)
        server.release()

    async def drain(self, node):
        """SIGTERM, as for an update: it is down when its last request was answered."""
        server = self.world.replicas[node]
        if not server.runs():
            return {"skipped": True}
        begin = self.world.recorder.now()
        server.hold(TERM)
        await server.ended()
        ended = self.world.recorder.now()
        await self.pause(0.1, 1.5)
        server.release()
        return {"begin": begin, "ended": ended}

    async def stop(self, node):
        server = self.world.replicas[node]
        server.signal(STOP)
        await self.pause(0.5, 5)
        server.signal(CONT)

    async def clock(self, node):
        """A clock that jumps, and jumps back later, within what the terms allow replicas to differ."""
        ahead = self.draw.choice([-1, 1])
        self.world.replicas[node].set_clock(ahead)
        await self.pause(3, 15)
        self.world.replicas[node].set_clock(0)
        return {"ahead": ahead}

    async def wild_clock(self, node):
        """A clock that is wrong beyond all bounds."""
        ahead = self.draw.choice([-1, 1]) * self.draw.choice([40, 600, 3600, 100_000])
        self.world.replicas[node].set_clock(ahead)
        await self.pause(2, 6)
        self.world.replicas[node].set_clock(0)
        return {"ahead": ahead}

    # --- the network

    async def _part(self, one, other, longest, chance=1):
        part = Part(one, other, chance)
        try:
            await part.cut()
            await self.pause(1, longest)
        finally:
            await part.mend()

    async def store_cut(self, node):
        await self._part(node, "store", 6)

    async def store_lossy(self, node):
        await self._part(node, "store", 5, chance=0.3)

    async def gateway_cut(self, node):
        await self._part(node, "gw", 5)

    async def client_cut(self, node):
        await self._part(node, "world", 4)

    async def gateway_kill(self, _):
        await self._down(self.world.gateways[0], KILL)

    # --- the store

    def primary(self):
        return self.world.stores[self.world.primary]

    async def store_stop(self, _):
        self.primary().signal(STOP)
        await self.pause(0.5, 5)
        self.primary().signal(CONT)

    async def store_slow(self, _):
        """It answers, and late: sometimes later than jeton waits for."""
        until = self.draw.randint(3, 6)
        for _ in range(until):
            self.primary().signal(STOP)
            await asyncio.sleep(self.draw.uniform(0.2, 1.1))
            self.primary().signal(CONT)
            await asyncio.sleep(self.draw.uniform(0.05, 0.4))

    async def store_kill(self, _):
        """It comes back with what its file holds, which is all that it ever answered."""
        await self._down(self.primary(), KILL)
        await self.primary().obeys("SET", "chaos:probe", "1")

    async def failover(self, _):
        """The other server takes over, and nothing that was answered is lost."""
        old, new = self.primary(), self._other()
        await self._caught_up(old)
        with contextlib.suppress(OSError, TimeoutError):
            await old.ask("FAILOVER", "TO", net.address(new.node), "6379", "TIMEOUT", "2000")
        for _ in range(200):
            with contextlib.suppress(OSError, TimeoutError):
                if "role:master" in await new.ask("INFO", "replication"):
                    self._lead(new)
                    return {}
                state = await old.ask("INFO", "replication")
                if "role:master" in state and "failover_state:no-failover" in state:
                    return {"skipped": True}
            await asyncio.sleep(0.05)
        raise RuntimeError("a failover neither happened nor failed")

    async def lossy_failover(self, _):
        """The primary dies, and the other takes over what it has, which may lack the last moments."""
        old, new = self.primary(), self._other()
        await self._caught_up(old)
        old.hold(KILL)
        await old.ended()
        await new.lead()
        self._lead(new)
        await self.pause(0.5, 2)
        old.release()
        await old.follow(new)

    def _other(self):
        return self.world.stores["sb" if self.world.primary == "sa" else "sa"]

    def _lead(self, new):
        net.lead_store(new.node)
        self.world.primary = new.node

    async def _caught_up(self, primary):
        """Waits until the other server follows: what it lacks then is what was written a moment ago."""
        for _ in range(100):
            with contextlib.suppress(OSError, TimeoutError):
                if "state=online" in await primary.ask("INFO", "replication"):
                    return
            await asyncio.sleep(0.1)
        raise RuntimeError("no server follows the primary")

    async def wipe(self, _):
        await self.primary().obeys("FLUSHALL")

    async def store_full(self, _):
        """The disk of the primary is full: it refuses to write."""
        disk = self.world.store_disks[self.world.primary]
        disk.fill()
        await self.pause(1, 5)
        disk.clear()
        await self.primary().obeys("SET", "chaos:probe", "1")
        # its file may end in the middle of a command now, and would not be read again
        await self.primary().rewrite()

    # --- the folders

    async def keys_full(self, _):
        await self._full(self.world.keys)

    async def policies_full(self, _):
        # who is in the middle of writing keeps the room for the rest
        async with self.world.policies.writing:
            self.world.policies.fill()
        await self.pause(1, 5)
        self.world.policies.clear()

    async def decisions_full(self, _):
        await self._full(self.world.decisions)

    async def _full(self, disk):
        disk.fill()
        await self.pause(1, 5)
        disk.clear()

    async def keys_torn(self, _):
        try:
            await self.world.keys.tear(self.draw, self.draw.uniform(0.2, 1.2))
        except BlockingIOError:
            return {"skipped": True}

    async def policies_torn(self, _):
        await self.world.policies.tear(self.draw.choice(["shop.yaml", "clients.yaml", "revoked.yaml"]), self.draw.uniform(0.2, 2))

    async def rotate(self, _):
        """The order of an operator. Some are killed in the middle."""
        command = [str(self.world.program), "--config", str(self.world.root / "r1.toml"), "keys", "rotate"]
        order = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        killed = self.draw.random() < 0.4
        if killed:
            await asyncio.sleep(self.draw.uniform(0, 0.08))
            with contextlib.suppress(ProcessLookupError):
                order.kill()
        return {"code": await order.wait(), "killed": killed}

    async def reloads(self, _):
        """Edits one after the other, with orders to reload between."""
        for _ in range(self.draw.randint(5, 15)):
            await self.world.policies.edit()
            for replica in self.world.replicas.values():
                if replica.has_started() and self.draw.random() < 0.7:
                    replica.signal(HUP)
            await asyncio.sleep(self.draw.uniform(0, 0.1))

    async def certificates(self, _):
        spoil = self.draw.choice([None, "put_torn", "put_unmatched"])
        certificates, recorder = self.world.certificates, self.world.recorder
        if certificates.is_last():
            return {"skipped": True}
        if spoil:
            getattr(certificates, spoil)()
            await self.pause(0.3, 2.5)
        begin = recorder.now()
        number = certificates.put_next()
        recorder.line("pair", number=number, begin=begin, end=recorder.now())
        return {"spoilt": spoil}

    # --- edits, all the time

    async def edits(self):
        """A generation every two seconds or so; each ends a token, and some end all tokens of a client."""
        policies = self.world.policies.policies
        while True:
            await asyncio.sleep(self.draw.uniform(0.8, 3.5))
            if self.clients.fresh:
                canary = self.draw.choice(self.clients.fresh[-5:])
                policies.revoke(opened(canary)[1]["jti"])
                asyncio.get_running_loop().create_task(self.clients.canary(canary, self.world.policies.generation + 1))
                await asyncio.sleep(0.3)
            now = math.ceil(time.time())
            # a list has a bit for each minute: what ends twice in one is not ended there (README.md)
            free = [victim for victim in VICTIMS if policies.ended.get(victim, 0) // 60 < (now - 1) // 60]
            if free and self.draw.random() < 0.4:
                policies.end_victim(self.draw.choice(free), now)
            elif self.draw.random() < 0.5:
                policies.disabled = None
            await self.world.policies.edit(self.draw.choice(["renamed", "in-place", "slow", "slow", "half"]))
