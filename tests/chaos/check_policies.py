"""Every answer comes from one generation of the policies, and no replica goes back."""

from bisect import bisect_left

# a machine that is busy: what is added to the bounds that are stated
BUSY = 1.0


class Floors:
    """The least generation that a replica must have in force at a time: what it showed before, or what it had time to read."""

    def __init__(self, history, disturbed):
        self.replicas = disturbed.replicas
        bound = history.world["poll"] + 1 + BUSY
        self.known = {}
        for node in disturbed.replicas:
            shown = [
                # where a generation may have been taken by half, it shows no more than the one before
                (op["end"], gen - disturbed.mixable(gen, node), op) for op in history.ops
                if op["at"] == node and op["status"] == 200 for gen in op.get("gens", {}).values()
            ]
            due = []
            for edit in history.edits:
                end = disturbed.files[node].quiet_end(edit["end"] + 0.001, history.ended, bound)
                if end is not None:
                    due.append((end, edit["gen"], edit))
            self.known[node] = sorted([*shown, *due], key=lambda known: known[:2])
            best = (0, None)
            for place, (time, gen, why) in enumerate(self.known[node]):
                best = max(best, (gen, why), key=lambda one: one[0])
                self.known[node][place] = (time, *best)

    def of(self, node, time):
        return self.why(node, time)[0]

    def why(self, node, time):
        """The generation, and the operation or edit that says so."""
        place = bisect_left(self.known[node], time, key=lambda known: known[0]) - 1
        return self.known[node][place][1:] if place >= 0 else (0, None)

    def at_gateway(self, time):
        """A gateway asks any of them."""
        return min(self.of(node, time) for node in self.replicas)


def mixtures(history, disturbed, floors):
    edits = {edit["gen"]: edit for edit in history.edits}
    hashes = {}
    for op in history.ops:
        gens = set(op.get("gens", {}).values()) if op["status"] == 200 else set()
        if len(gens) > 1 and not any(disturbed.mixable(gen, op["at"]) for gen in gens):
            yield f"an answer from generations {sorted(gens)}", [op]
        if gens and op["at"] in floors.replicas:
            floor, why = floors.why(op["at"], op["begin"])
            if min(gens) < floor:
                yield f"an answer from generation {min(gens)}, when generation {floor} was due", [op, why]
        if op["kind"] == "bundle" and op["status"] == 200:
            [gen] = gens
            if op["revoked"] != sorted(edits[gen]["revoked"]) and not disturbed.mixable(gen, op["at"]):
                yield f"a bundle of generation {gen} has the revoked tokens of another", [op]
            if hashes.setdefault(op["hash"], gen) != gen:
                yield f"two generations have the hash {op['hash']}", [op]
    for op in history.of_kind("ready"):
        floor, why = floors.why(op["at"], op["begin"])
        if hashes.get(op.get("hash"), floor) < floor:
            yield f"/readyz has the hash of generation {hashes[op['hash']]}, when generation {floor} was due", [op, why]
