"""What operators do meanwhile: an edit of the policies every ten seconds, a new key every minute, the decision log moved
away. Each is looked at from outside: it is in force soon, or it has failed."""

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import policies
from clients import basic
from hostile import CYCLE

# an edit is in force within this time: `policies.poll` is a second
SOON = 8.0
# each third edit is broken first: jeton says so, and the policies before it stay in force
BROKEN_EACH = 3
# a key that is retired for longer than this signed nothing that is still good: it may go without waiting for 25 hours,
# for which services with a bundle would need it
USED_FOR = 75.0


class Changes(threading.Thread):
    """Beside the driver, from `begin` on until it is told to stop."""

    def __init__(self, place, begin, rotation):
        super().__init__(daemon=True)
        self.place, self.begin, self.rotation = place, begin, rotation
        self.stopped = threading.Event()
        self.edits = self.rejected = self.rotations = self.lines = self.dropped = 0
        self.failures, self.marks = [], []
        self.kid, self.retired_at, self.most_keys = None, {}, 0

    def run(self):
        number = 0
        while not self.stopped.wait(max(0.0, self.begin + number * CYCLE + 1 - time.monotonic())):
            self._attempt("an edit", self._edit)
            # the first one early, so that a short run sees its key sign
            if self.begin + self.rotations * self.rotation <= time.monotonic():
                self._attempt("a rotation", self._rotate)
                self._attempt("the decision log", self._move_decisions)
            number += 1

    def stop(self):
        self.stopped.set()
        self.join(60)
        self._attempt("the decision log", self._move_decisions)

    def _attempt(self, what, change):
        try:
            change()
        except Exception as error:  # whatever it is, the run goes on and tells it at its end
            self.failures.append((time.time(), what, f"{type(error).__name__}: {error}"))

    # --- policies

    def _edit(self):
        self.edits += 1
        self.marks.append(("edit", time.monotonic()))
        number = self.edits
        if number % BROKEN_EACH == 0:
            self._reject()
        edit = self.place.policies / "edit.yaml"
        beside = self.place.folder / "edit.yaml"
        beside.write_text(policies.edit(number))
        beside.rename(edit)
        self._soon(lambda: self._status_of_guest(number) == 200, f"edit {number} is in force")
        last = self._status_of_guest(number - 1)
        if last not in (401, 429):
            raise AssertionError(f"the guest of the edit before {number} gets {last}")

    def _reject(self):
        broken = self.place.policies / "broken.yaml"
        beside = self.place.folder / "broken.yaml"
        beside.write_text(policies.BROKEN)
        beside.rename(broken)
        try:
            status, answer = self._reload()
            if status != 422 or "no:such-scope" not in answer:
                raise AssertionError(f"a reload of broken policies: {status} {answer[:500]}")
            self.rejected += 1
            last = self._status_of_guest(self.edits - 1)
            if last != 200:
                raise AssertionError(f"what was in force before a broken edit: {last}")
        finally:
            broken.unlink()

    def _reload(self):
        """As an operator."""
        form = {"grant_type": "client_credentials", "scope": "jeton:ops"}
        status, answer = self._post("/oauth2/token", form, basic("own-0"))
        if status != 200:
            raise AssertionError(f"a token for an operator: {status} {answer}")
        return self._post("/ops/reload", {}, f"Authorization: Bearer {json.loads(answer)['access_token']}\r\n")

    def _status_of_guest(self, number):
        return self._post("/oauth2/token", {"grant_type": "client_credentials"}, basic(f"guest-{number}"))[0]

    def _post(self, path, form, header):
        name, _, value = header.strip().partition(": ")
        asked = urllib.request.Request(
            f"{self.place.issuer}{path}", urllib.parse.urlencode(form).encode(), {name: value}, method="POST"
        )
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    # --- keys

    def _rotate(self):
        self.rotations += 1
        self.marks.append(("rotation", time.monotonic()))
        listed, now = self.place.listed_keys(), time.monotonic()
        active = [kid for state, kid in listed if state == "active"]
        if self.kid and active != [self.kid]:
            raise AssertionError(f"{self.kid} should sign by now: {listed}")
        for state, kid in listed:
            if state == "retired" and now - self.retired_at.setdefault(kid, now) > USED_FOR:
                self.place.jeton("keys", "retire", kid, "--now", "--yes")
        self.place.jeton("keys", "prune")
        self.place.jeton("keys", "rotate")
        listed = self.place.listed_keys()
        self.most_keys = max(self.most_keys, len(listed))
        [self.kid] = [kid for state, kid in listed if state == "next"]
        self._soon(lambda: self.kid in self._jwks(), f"{self.kid} is published")

    def _jwks(self):
        with urllib.request.urlopen(f"{self.place.issuer}/.well-known/jwks.json", timeout=10) as answer:
            return answer.read().decode()

    # --- the decision log

    def _move_decisions(self):
        """As logrotate does, and counts what is in it."""
        log = self.place.folder / "decisions.jsonl"
        moved = log.rename(self.place.folder / "decisions.1")
        if self.place.server.poll() is None:
            os.kill(self.place.server.pid, signal.SIGHUP)
            self._soon(log.exists, "the decision log is opened again")
        with moved.open("rb") as lines:
            for line in lines:
                self.lines += 1
                if line.startswith(b'{"dropped"'):
                    self.dropped += json.loads(line)["dropped"]
        moved.unlink()

    def _soon(self, holds, what):
        deadline = time.monotonic() + SOON
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {SOON:g} s: {what}")
            time.sleep(0.1)
