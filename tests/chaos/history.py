"""The history of a run: one JSON object a line, of operations, faults and edits, with times of one monotonic clock."""

import json
import time

# why an operation has no status
REFUSED, CUT, LATE, UNREACHED = "refused", "cut", "late", "unreached"


class Recorder:
    """Writes a history. Times are seconds since the run began, by a clock that no fault moves."""

    def __init__(self, path):
        self.file = path.open("w", encoding="utf-8")
        self.began = time.monotonic()
        self.count = 0

    def now(self):
        return round(time.monotonic() - self.began, 6)

    def line(self, t, **fields):
        self.file.write(json.dumps({"t": t, **fields}, separators=(",", ":")) + "\n")

    def op(self, who, kind, at, answer, **fields):
        """One operation: who asked whom for what, and what came of it."""
        self.count += 1
        self.line(
            "op", n=self.count, who=who, kind=kind, at=at, begin=answer.begin, end=answer.end, status=answer.status,
            **({"fail": answer.fail} if answer.fail else {}), **fields,
        )

    def close(self):
        self.file.close()


class History:
    """A history that was read: the terms of the world, and its operations, faults, edits in the order of their beginning."""

    def __init__(self, lines):
        self.world = next(line for line in lines if line["t"] == "world")
        self.ops = sorted((line for line in lines if line["t"] == "op"), key=lambda op: op["begin"])
        self.faults = sorted((line for line in lines if line["t"] == "fault"), key=lambda fault: fault["begin"])
        self.edits = sorted((line for line in lines if line["t"] == "edit"), key=lambda edit: edit["gen"])
        self.pairs = [line for line in lines if line["t"] == "pair"]
        self.exits = [line for line in lines if line["t"] == "exit"]
        self.serving = [line for line in lines if line["t"] == "serving"]
        self.healed = next((line["at"] for line in lines if line["t"] == "healed"), None)
        self.ended = next((line["at"] for line in lines if line["t"] == "ended"), None)

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls([json.loads(line) for line in file])

    def of_kind(self, *kinds):
        return [op for op in self.ops if op["kind"] in kinds]

    def faults_of(self, *kinds):
        return [fault for fault in self.faults if fault["kind"] in kinds]
