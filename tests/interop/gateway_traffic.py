"""Requests through gateways while policies and keys change, each judged by what was in force while it was under way."""

import base64
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

from gateway_wire import Connection, ask, request

# between two requests of one thread, in seconds
PAUSE = 0.12
# how many answers of one kind say something
ENOUGH = 8


@dataclass
class Record:
    gateway: str
    row: str
    kid: str
    began: float
    ended: float
    outcome: object


@dataclass
class State:
    """What a row that changes is answered, from a change on: `written` when it may be in force, `known` when it must."""

    answer: int
    written: float
    known: float


def kid_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]


def until(what, holds, seconds=30.0):
    """Waits for as long as traffic needs."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"error: not within {seconds} s: {what}")
        time.sleep(0.05)


class Tokens:
    """Tokens of some clients, of which new ones are fetched all the time and old ones kept."""

    def __init__(self, site, clients):
        self.site, self.stopped = site, threading.Event()
        self.of = {client: [site.token(client)] for client in clients}
        self.thread = threading.Thread(target=self.fetch, daemon=True)
        self.failure = None

    def fetch(self):
        try:
            while not self.stopped.wait(0.5):
                for client, tokens in self.of.items():
                    tokens.append(self.site.token(client))
        except OSError as error:
            self.failure = error

    def pick(self, client, number):
        """The newest, and every other time one of those before."""
        tokens = self.of[client]
        return tokens[-1] if number % 2 else random.choice(tokens)


class Traffic:
    """For each gateway one thread with a connection for each request, and one that keeps its connection.

    `rows`: name, target, client or None, and the status of each answer, or None where it changes."""

    def __init__(self, ports, tokens, rows, answer):
        self.gateways, self.rows, self.tokens, self.records = list(ports), rows, tokens, []
        self.states = [State(answer, 0.0, 0.0)]
        self.stopped = threading.Event()
        self.threads = [tokens.thread] + [
            threading.Thread(target=self.send, args=(gateway, port, keeps), daemon=True)
            for gateway, port in ports.items()
            for keeps in (False, True)
        ]
        for thread in self.threads:
            thread.start()

    def send(self, gateway, port, keeps):
        kept, number = None, 0
        while not self.stopped.wait(PAUSE):
            name, target, client, _ = self.rows[number % len(self.rows)]
            token = client and self.tokens.pick(client, number // len(self.rows))
            data = request(target=target, token=token)
            began = time.monotonic()
            try:
                if keeps:
                    kept = kept or Connection(port)
                    answer = kept.ask(data)
                    if answer is None or answer.is_last():
                        kept = kept.close()
                else:
                    answer = ask(port, data)
                outcome = answer.status if answer is not None else "hung up"
                if outcome in (401, 403) and len(answer.all("www-authenticate")) != 1:
                    outcome = f"{outcome} without a challenge"
            except (OSError, ValueError) as error:
                kept, outcome = None, repr(error)
            self.records.append(Record(gateway, name, token and kid_of(token), began, time.monotonic(), outcome))
            number += 1
        if kept:
            kept.close()

    def change(self, act, is_known, answer):
        """Does something after which rows that change are answered with `answer`; waits until that is known."""
        written = time.monotonic()
        act()
        until("a change was taken", is_known)
        self.states.append(State(answer, written, time.monotonic()))
        until("the change was asked for enough", lambda: all(self.certain(gateway)[-1] >= ENOUGH for gateway in self.gateways))

    def stop(self):
        self.stopped.set()
        self.tokens.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def expected(self, record, changes):
        """Every answer that is right for a request: one, unless a change was under way."""
        if changes is not None:
            return {changes}
        following = [*self.states[1:], State(0, float("inf"), float("inf"))]
        return {
            state.answer
            for state, after in zip(self.states, following)
            if record.ended >= state.written and record.began <= after.known
        }

    def passed(self, gateway, kid, since=0.0):
        """How many requests with tokens of a key were let through."""
        return sum(
            record.gateway == gateway and record.kid == kid and record.outcome == 200 and record.began > since
            for record in list(self.records)
        )

    def followed(self, tokens):
        """Waits until enough tokens of the next key passed at every gateway, and then of the one before; both."""
        old = kid_of(tokens[0])
        until("another key signs", lambda: kid_of(tokens[-1]) != old)
        new, since = kid_of(tokens[-1]), time.monotonic()
        for kid in (old, new):
            until("its tokens passed", lambda: all(self.passed(gateway, kid, since) >= ENOUGH for gateway in self.gateways))
        return old, new

    def wrong(self):
        of = {name: status for name, _, _, status in self.rows}
        return [record for record in self.records if record.outcome not in self.expected(record, of[record.row])]

    def certain(self, gateway):
        """How many answers of the rows that change could be right by one state alone, for each state."""
        found = Counter()
        of = {name: status for name, _, _, status in self.rows}
        for record in list(self.records):
            if record.gateway == gateway and of[record.row] is None:
                for index, state in enumerate(self.states):
                    after = self.states[index + 1].written if index + 1 < len(self.states) else float("inf")
                    found[index] += record.began > state.known and record.ended < after
        return [found[index] for index in range(len(self.states))]
