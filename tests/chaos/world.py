"""One world: builds it, lets clients, services and the nemesis at it, heals it, and waits.

run.py starts this as a program in namespaces of its own. The folders that a fault can fill are tmpfs, which go with it.
"""

import argparse
import asyncio
import random
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import net
from clients import Clients, Key
from cryptography.hazmat.primitives import serialization
from folders import Certificates, Disk, KeyFolder, PolicyFolder
from history import Recorder
from nemesis import Nemesis
from policies import Policies
from servers import MAIN, Redis, Replica, gateway
from services import Service, often
from wire import Wire

# how long nothing happens at the end, and after how much of it everything must work
CALM, RECOVERED = 12.0, 7.0


@dataclass
class Terms:
    """What this world is set up with, in seconds; the settings of jeton have the same names."""

    seed: int
    seconds: float
    algorithm: str
    bundle: bool
    ttl: int
    refresh_ttl: int
    rotate_every: int
    publish_ahead: int = 12
    poll: int = 1
    drain: int = 2
    leeway: int = 5
    grace: int = 3
    status_list_ttl: int = 2
    bundle_ttl: int = 2

    @classmethod
    def drawn(cls, seed, seconds):
        draw = random.Random(f"terms {seed}")
        short = draw.random() < 0.5
        return cls(
            seed=seed, seconds=seconds, algorithm=draw.choice(["RS256", "ES256", "EdDSA"]),
            # a bundle keeps the keys published for a day; without one they leave the set within the run
            bundle=not short, ttl=8 if short else 120, refresh_ttl=15 if short else 300,
            rotate_every=draw.choice([0, 12, 14]),
        )


class World:
    def __init__(self, program, root, keys, terms):
        self.root, self.terms = root, terms
        self.draw = random.Random(f"world {terms.seed}")
        for name, size in {"keys": "512k", "policies": "512k", "sa": "24m", "sb": "24m", "decisions": "1m"}.items():
            folder = root / name
            folder.mkdir()
            net.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder))
        for name in ("logs", "tls"):
            (root / name).mkdir()
        self.recorder = Recorder(root / "history.jsonl")
        self.wire = Wire(self.recorder)
        self.signer = Key()
        self.policies = PolicyFolder(root / "policies", Policies(terms.bundle), self.recorder)
        (root / "policies" / "signer.pub.pem").write_bytes(self.signer.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ))
        shutil.copytree(keys / terms.algorithm, root / "keys", dirs_exist_ok=True)
        (root / "keys").chmod(0o700)
        self.keys = KeyFolder(root / "keys")
        self.decisions = Disk(root / "decisions")
        self.store_disks = {node: Disk(root / node) for node in net.STORES}
        self.certificates = Certificates(root / "tls", 16)
        self.replicas = {node: Replica(node, program, root, self.recorder, terms) for node in net.REPLICAS}
        self.stores = {node: Redis(node, root / node, root / "logs", self.recorder) for node in net.STORES}
        self.primary = "sa"
        self.program = program

    async def run(self):
        self.recorder.line("world", **asdict(self.terms), recovered=RECOVERED, wall=time.time() - self.recorder.now())
        net.build()
        await self.policies.edit()
        self.recorder.line("pair", number=self.certificates.put_next(), begin=0.0, end=self.recorder.now())
        self.gateways = gateway(self.program, self.root, self.recorder)
        for server in [*self.stores.values(), *self.gateways, *self.replicas.values()]:
            server.keep()
        await self.stores["sb"].follow(self.stores["sa"])
        clients = Clients(self.wire, self.recorder, self.draw, self.signer, self.terms)
        services = [Service(at, self.wire, self.recorder) for at in net.REPLICAS]
        clients.told = lambda token, at: self.draw.choice(services).offer(token, at)
        for service in services:
            await self.until_ready(service)
        nemesis = Nemesis(self, clients)
        async with asyncio.TaskGroup() as work:
            tasks = [
                *(often(what, rate, self.draw) for what, rate in clients.tasks()),
                *(often(what, rate, self.draw) for one in services for what, rate in one.tasks(self.terms.bundle)),
                *(often(clients.family, 2, self.draw) for _ in range(3)),
                self.watch_ourselves(), nemesis.edits(),
            ]
            running = [work.create_task(task) for task in tasks]
            await nemesis.rage(self.terms.seconds - CALM)
            self.recorder.line("healed", at=self.recorder.now())
            await asyncio.sleep(RECOVERED)
            for at in net.REPLICAS:
                await clients.everything(at)
            for service in services:
                for look in (service.jwks, service.ready, service.status, service.certificate):
                    await look()
            await clients.through_gateway()
            await asyncio.sleep(CALM - RECOVERED)
            for task in running:
                task.cancel()
        self.recorder.line("ended", at=self.recorder.now())
        self.recorder.close()

    async def until_ready(self, service):
        for _ in range(200):
            if (await self.wire.ask((net.address(service.at), MAIN), "GET", "/readyz")).status == 200:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"{service.at} does not get ready: {self.replicas[service.at].log.read_text()}")

    async def watch_ourselves(self):
        """Where this machine stalls, no bound on times can be judged: that is noted as a fault of its own."""
        while True:
            begin = self.recorder.now()
            await asyncio.sleep(0.1)
            end = self.recorder.now()
            if end - begin > 0.6:
                self.recorder.line("fault", kind="stall", of="world", begin=begin, end=end)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("keys", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    given = parser.parse_args()
    # libfaketime leaves something there for each number of a process, which worlds would share
    net.run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")
    world = World(given.program.resolve(), given.root, given.keys, Terms.drawn(given.seed, given.seconds))
    asyncio.run(world.run())


if __name__ == "__main__":
    main()
