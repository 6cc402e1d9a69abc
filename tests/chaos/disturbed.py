"""What disturbed whom and when, as a history tells it: while something is disturbed, no bound on times is judged."""

from bisect import bisect_right

# how long a replica may take to start, and to find the store again: jeton waits two seconds at most between attempts, and
# one for a connection
START, FIND_STORE = 3.0, 3.5
# how long after its file a clock jumps
CLOCK = 1.5
# faults of the one server that is the store
STORE = ["store-stop", "store-slow", "store-kill", "store-full", "failover", "lossy-failover", "wipe"]
# within what time all files of an edit must be written, so that no poll takes some of them
QUICK = 0.4
# by how much the clocks of two replicas differ, as the nemesis sets them, and a second that jeton rounds by
SKEW = 3.0
# what was written so long before the primary died may be missing at the other server
LOST = 2.0


class Intervals:
    """A union of intervals."""

    def __init__(self, intervals):
        self.begins, self.ends = [], []
        for begin, end in sorted(intervals):
            if self.ends and begin <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], end)
            else:
                self.begins.append(begin)
                self.ends.append(end)

    def meet(self, begin, end):
        """Whether some of it lies between."""
        place = bisect_right(self.begins, end) - 1
        return place >= 0 and self.ends[place] >= begin

    def quiet_end(self, begin, end, length):
        """When, from `begin` on, nothing had disturbed for this long; None if not until `end`."""
        for one, other in zip(self.begins, self.ends, strict=True):
            if other < begin:
                continue
            if one >= begin + length:
                break
            begin = max(begin, other)
        return begin + length if begin + length <= end else None


class Disturbed:
    def __init__(self, history):
        self.history = history
        terms = history.world
        faults = history.faults
        self.replicas = ["r1", "r2", "r3"]

        def spans(kinds, of=None, before=0.0, after=0.0):
            return [
                (fault["begin"] - before, fault["end"] + after) for fault in faults
                if fault["kind"] in kinds and fault.get("skipped") is None and of in (None, fault["of"])
            ]

        stalls = spans(["stall"], before=0.2, after=0.5)
        self.stalls = Intervals(stalls)
        # not there, or not yet again
        self.down = {node: Intervals(
            stalls + spans(["kill", "drain"], node, after=START) + spans(["stop"], node, after=0.3)
            + [(gone["at"] - 0.1, gone["at"] + START) for gone in history.exits if gone["of"] == node]
            + [(-1, first["at"] + START) for first in history.serving if first["of"] == node][:1]
        ) for node in self.replicas}
        self.unreached = {node: Intervals(spans(["client-cut"], node, after=0.5)) for node in self.replicas}
        self.gateway = Intervals(stalls + spans(["gateway-kill"], "gw", after=START))
        self.apart = {node: Intervals(spans(["gateway-cut"], node, after=3)) for node in self.replicas}
        # cannot use the store, or does not know what it says
        self.store = {node: Intervals(
            [(begin, end + FIND_STORE) for begin, end in spans(["store-cut", "store-lossy"], node) + spans(STORE)]
            + self._widened(self.down[node], FIND_STORE)
        ) for node in self.replicas}
        # does not read its files, or reads what is spoilt
        edits = [(edit["spoilt"], edit["end"]) for edit in history.edits]
        # (a replica that starts meanwhile starts when they are whole)
        self.files = {node: Intervals(
            self._widened(self.down[node], 0) + spans(["policies-torn"]) + edits
        ) for node in self.replicas}
        keys = spans(["keys-torn"])
        reading = terms["poll"] + 1.5
        self.keys = {node: Intervals(
            [(begin, end + reading) for begin, end in spans(["stop"], node) + stalls + keys]
        ) for node in self.replicas}
        self.pairs = {node: Intervals(
            self._widened(self.down[node], 0) + spans(["certificates"])
        ) for node in self.replicas}
        self.torn = Intervals(
            [(begin, end + 1) for begin, end in spans(["policies-torn", "keys-torn", "certificates"])] + edits
        )
        self.wild = {node: Intervals(spans(["wild-clock"], node, after=CLOCK + 0.5)) for node in self.replicas}
        self.any_wild = Intervals(spans(["wild-clock"], after=CLOCK + 0.5))
        self.edits = {edit["gen"]: edit for edit in history.edits}
        # when it reads at once: it starts, or was told to, and may do so late
        self.asked = {node: Intervals(
            spans(["reloads"], after=1) + spans(["stop"], node, after=1) + stalls
            + [(one["at"], one["at"] + START) for one in history.serving if one["of"] == node]
        ) for node in self.replicas}
        self.wipes = [(fault["begin"], fault["end"]) for fault in history.faults_of("wipe")]
        self.losses = [(fault["begin"], fault["end"]) for fault in history.faults_of("lossy-failover")]

    def mixable(self, generation, node):
        """Whether a replica may have taken files of this generation together with older ones: a poll takes what did not
        change for half a second, but a start and an order to reload take what two readings find."""
        edit = self.edits.get(generation)
        return edit is not None and (
            edit["end"] - edit["begin"] > QUICK or edit["style"] == "slow" and self.asked[node].meet(edit["begin"], edit["end"])
        )

    def _widened(self, intervals, after):
        return [(begin, end + after) for begin, end in zip(intervals.begins, intervals.ends, strict=True)]

    def forgot(self, one, other):
        """Whether the store may have forgotten between these two operations what it was told by the first of them."""
        begin, end = min(one["begin"], other["begin"]), max(one["end"], other["end"])
        told = min(one["end"], other["end"])
        return any(lost <= end and back >= begin for lost, back in self.wipes) or any(
            lost <= end and told >= lost - LOST and begin <= back for lost, back in self.losses
        )

    def ended(self, revoked):
        """Whether an answer to a revocation says that the token ended: it was good by the true time, and by the clock there.
        A token that is none yet, or no more, is answered in the same way."""
        wall = self.history.world["wall"]
        return (
            revoked["status"] == 200 and not self.wild[revoked["at"]].meet(revoked["begin"], revoked["end"])
            and revoked["iat"] < wall + revoked["begin"] + SKEW and wall + revoked["end"] < revoked["exp"] - SKEW
        )
