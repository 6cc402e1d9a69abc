"""The turn of an hour at one replica with one worker: how many tokens it gives, how long they wait, what reuse saves."""

import asyncio
import json
import random
import select
import socket

from simulator import turn
from simulator.figures import percentile

from .servers import basic, cpu_of_each, name_of, token, write_policies

CLIENTS, BURST = 20_000, 4000
# clients that ask once in a round: they fit into what a replica remembers, or do not
FITTING, BEYOND, ROUNDS = 2000, 10_000, 3


def request(port, client):
    form = b"grant_type=client_credentials"
    return (
        f"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {basic(client)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    ).encode() + form


def burst(server, count, rng):
    """So many requests at once, each on a connection of its own.

    How long each took by the clock of the server's CPU, in order of length: what else runs on the machine adds nothing to it.
    """
    poll, connections = select.epoll(), {}
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port))
        poll.register(connection, select.EPOLLIN)
        connections[connection.fileno()] = connection
    asked = {number: request(server.port, name_of(rng.randrange(CLIENTS))) for number in connections}
    begun, taken = server.cpu(), []
    for number, connection in connections.items():
        connection.send(asked[number])
    while len(taken) < count:
        ready = poll.poll(30.0)
        if not ready:
            raise RuntimeError(f"{count - len(taken)} of {count} requests have no answer")
        for number, _ in ready:
            answer = connections[number].recv(16384)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a token: {answer[:200]!r}")
            taken.append(server.cpu() - begun)
            poll.unregister(number)
    poll.close()
    for connection in connections.values():
        connection.close()
    return sorted(taken)


async def reused(server, clients, rng):
    """The share of tokens from memory after the first of some rounds, in each of which each client asks once."""
    seen, again = set(), 0

    async def ask(connection, number):
        nonlocal again
        body = json.loads((await token(connection, name_of(order[number]))).body)["access_token"]
        again += body in seen
        seen.add(body)

    for _ in range(ROUNDS):
        order = rng.sample(range(clients), clients)
        await cpu_of_each(server, clients, 8, ask)
    return again / (clients * (ROUNDS - 1))


def measure(held, report, seed, core):
    write_policies(held.folder / "policies", CLIENTS)
    core = 1 if core is None else core
    server = held.serve("turn", core=core, **{"policies.poll": "0s"})
    rng = random.Random(f"{seed} burst")
    cost = asyncio.run(cpu_of_each(server, 4000, 8, lambda connection, n: token(connection, name_of(n))))
    report.note("CPU of a token", "time", cost)
    print(f"{BURST} tokens at once, at one worker", flush=True)
    model = turn.queued([0.0] * BURST, cost, 1, rng)
    taken = burst(server, BURST, rng)
    for share, told in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")]:
        report.row(f"{BURST} tokens at once, by the server's CPU, {told}", "time", model.at(share), percentile(taken, share))
    server.stop()

    server = held.serve("reusing", core=core, **{"policies.poll": "0s", "tokens.reuse": "5m"})
    for clients in [FITTING, BEYOND]:
        share = asyncio.run(reused(server, clients, rng))
        model = turn.reused_share(clients, 1, True, random.Random(seed), minutes=ROUNDS, warm_up=1)
        report.row(f"reused, {clients} clients again and again", "share", model, share)
