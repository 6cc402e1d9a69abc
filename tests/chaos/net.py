"""The network of a world: a namespace for each node, a link from each to the world, which routes between them.

The world's own namespace is where clients and services are. All of this is below a network namespace and a mount namespace
that run.py made, and goes with them.
"""

import asyncio
import subprocess

NODES = ["r1", "r2", "r3", "sa", "sb", "gw"]
REPLICAS = NODES[:3]
STORES = ["sa", "sb"]
# the address of the store, which leads to whichever server is the primary
STORE = "10.60.100.1"


def address(node):
    return f"10.60.{NODES.index(node) + 1}.2"


def inner(node):
    """The argument of commands that run within a node."""
    return ["nsenter", f"--net=/run/netns/{node}"]


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def build():
    """Makes the nodes and their links."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    run("ip", "-batch", "-", text="\n".join(["link set lo up", *(f"netns add {node}" for node in NODES)]))
    outside, inside = [], {}
    for number, node in enumerate(NODES, 1):
        outside += [
            f"link add v-{node} type veth peer name eth0 netns {node}",
            f"addr add 10.60.{number}.1/24 dev v-{node}",
            f"link set v-{node} up",
        ]
        inside[node] = [
            "link set lo up", f"addr add 10.60.{number}.2/24 dev eth0", "link set eth0 up",
            f"route add default via 10.60.{number}.1",
        ]
        if node in STORES:
            inside[node].append(f"addr add {STORE}/32 dev lo")
    run("ip", "-batch", "-", text="\n".join(outside))
    for node, lines in inside.items():
        run("ip", "-n", node, "-batch", "-", text="\n".join(lines))
    with open("/proc/sys/net/ipv4/ip_forward", "w") as switch:
        switch.write("1")
    lead_store(STORES[0])


def lead_store(node):
    """From now on the address of the store leads to this server."""
    run("ip", "route", "replace", f"{STORE}/32", "via", address(node))


async def _iptables(*arguments):
    command = await asyncio.create_subprocess_exec("iptables", "-w", *arguments)
    if await command.wait() != 0:
        raise RuntimeError(f"iptables {' '.join(arguments)} failed")


def _rules(one, other, chance):
    """What drops packets between two sides, each the addresses of a node, or `world`: all of them, or this share."""
    sometimes = ["-m", "statistic", "--mode", "random", "--probability", str(chance)] if chance < 1 else []

    def addresses(side):
        if side == "world":
            return [None]
        return [STORE, *map(address, STORES)] if side == "store" else [address(side)]

    for source, target in [(one, other), (other, one)]:
        chain = "OUTPUT" if source == "world" else "INPUT" if target == "world" else "FORWARD"
        for come in addresses(source):
            for go in addresses(target):
                ends = (["-s", come] if come else []) + (["-d", go] if go else [])
                yield [chain, *ends, *sometimes, "-j", "DROP"]


class Part:
    """Two sides that do not reach each other, or lose this share of their packets, until it is mended."""

    def __init__(self, one, other, chance=1):
        self.rules = list(_rules(one, other, chance))
        self.made = []

    async def cut(self):
        for rule in self.rules:
            await _iptables("-I", *rule)
            self.made.append(rule)

    async def mend(self):
        while self.made:
            await _iptables("-D", *self.made.pop())
