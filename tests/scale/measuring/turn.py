"""The turn of an hour at one replica with one worker: how many tokens it gives, how long they wait, what reuse saves."""

import asyncio
import json
import random
import select
import socket
import time
from collections import deque

from simulator import turn
from simulator.figures import percentile
from simulator.world import World

from .servers import basic, cpu_of_each, name_of, token, write_policies

CLIENTS, CONNECTIONS = 20_000, 200
BURST, SPREAD, TURNS = 4000, 0.4, 5
# clients that ask once in a round: they fit into what a replica remembers, or do not
FITTING, BEYOND, ROUNDS = 2000, 10_000, 3


def request(port, client):
    form = b"grant_type=client_credentials"
    return (
        f"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {basic(client)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    ).encode() + form


def burst(port, arrivals, rng):
    """Each request is due at its time, whether or not others were answered; it waits for a free connection if all are in use.

    How long each took from when it was due, in order of length.
    """
    waiting = deque(request(port, name_of(rng.randrange(CLIENTS))) for _ in arrivals)
    poll, free, at, taken = select.epoll(), [], {}, []
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        free.append(connection)
        at[connection.fileno()] = [connection, 0.0]
    due = deque(arrivals)
    begun = time.monotonic() + 0.2
    while len(taken) < len(arrivals):
        now = time.monotonic() - begun
        while due and due[0] <= now and free:
            connection = free.pop()
            at[connection.fileno()][1] = due.popleft()
            connection.send(waiting.popleft())
        pause = max(0.0, due[0] - now) if due and free else 5.0
        for number, _ in poll.poll(pause):
            connection, asked = at[number]
            answer = connection.recv(16384)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"a token: {answer[:200]!r}")
            head, _, body = answer.partition(b"\r\n\r\n")
            missing = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) - len(body)
            while missing > 0:
                missing -= len(connection.recv(missing))
            taken.append(time.monotonic() - begun - asked)
            free.append(connection)
    for connection, _ in at.values():
        connection.close()
    poll.close()
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
    print(f"{TURNS} times {BURST} tokens, most of them in {SPREAD} s, at one worker", flush=True)
    turns = []
    for _ in range(TURNS):
        arrivals = sorted(rng.expovariate(1 / SPREAD) for _ in range(BURST))
        before = server.cpu()
        taken = burst(server.port, arrivals, rng)
        turns.append((percentile(taken, 0.99), taken, server.cpu() - before, turn.queued(arrivals, cost, 1, rng)))
    # other programs can only make it slower
    _, taken, busy, model = min(turns, key=lambda one: one[0] / one[3].at(0.99))
    report.row("CPU of the burst", "time", model.busy, busy)
    for share, told in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")]:
        report.row(f"a token in the burst, {told}", "time", model.at(share), percentile(taken, share))
    server.stop()

    server = held.serve("reusing", core=core, **{"policies.poll": "0s", "tokens.reuse": "5m"})
    for clients in [FITTING, BEYOND]:
        share = asyncio.run(reused(server, clients, rng))
        model = turn.reused_share(clients, 1, True, random.Random(seed), minutes=ROUNDS, warm_up=1)
        report.row(f"reused, {clients} clients again and again", "share", model, share)
