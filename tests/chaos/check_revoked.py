"""No revoked token passes after the bound that is stated for its way of revocation."""

from collections import defaultdict

from disturbed import LOST

# `/oauth2/revoke`: at every replica within a second of the store being there, and half a second for this machine
STORE_BOUND = 1.5
STEP = 0.25


def passes(op):
    """Whether a token was let through."""
    return op["status"] == 200 and (op["kind"] in ("judge", "gateway", "principal") or op["kind"] == "introspect" and op["active"])


def uses(history):
    return [op for op in history.of_kind("judge", "gateway", "introspect", "principal") if passes(op)]


def by_store(history, disturbed):
    """Tokens and families that a client revoked."""
    by_name = defaultdict(list)
    for op in uses(history):
        parts = op["jti"].split(".")
        for length in range(1, len(parts) + 1):
            by_name[".".join(parts[:length])].append(op)
    for revoked in history.of_kind("revoke"):
        if not disturbed.ended(revoked):
            continue
        later = [op for op in by_name[revoked["ends"]] if op["begin"] > revoked["end"]]
        if later:
            known = knowledge(revoked, history, disturbed)
            for op in later:
                places = disturbed.replicas if op["at"] == "gw" else [op["at"]]
                step = int((op["begin"] - revoked["end"]) / STEP)
                if all(known[place][step] for place in places):
                    yield f"{revoked['ends']} passed after it was revoked", [revoked, op]
                    break


def knowledge(revoked, history, disturbed):
    """For each replica and each step of time since: whether it must know by then.

    The replica that was asked knows at once. Another one does when it reached the store for the bound, and the store had it.
    A store that lost it has it again when a replica that knows reached it for the bound. Who ends forgets.
    """
    begin = revoked["end"]
    steps = int((history.ended - begin) / STEP) + 2
    knows = {node: node == revoked["at"] for node in disturbed.replicas}
    quiet = dict.fromkeys(disturbed.replicas, 0.0)
    in_store = True
    known = {node: [] for node in disturbed.replicas}
    for step in range(steps):
        now, then = begin + step * STEP, begin + (step + 1) * STEP
        if any(one <= then and other >= now for one, other in disturbed.wipes) or any(
            one <= then and other >= now and begin >= one - LOST for one, other in disturbed.losses
        ):
            in_store = False
        for node in disturbed.replicas:
            if any(gone["of"] == node and now - 0.2 <= gone["at"] <= then for gone in history.exits):
                knows[node] = False
            quiet[node] = 0.0 if disturbed.store[node].meet(now, then) else quiet[node] + STEP
            if quiet[node] > STORE_BOUND:
                knows[node] = knows[node] or in_store
                in_store = in_store or knows[node]
            known[node].append(knows[node])
    return known


def by_files(history, disturbed, floors):
    """Tokens and clients that the policies end: no replica that has these policies, or must have them, lets one pass."""
    revoked_in, ended_in = {}, defaultdict(list)
    for edit in history.edits:
        for token in edit["revoked"]:
            revoked_in.setdefault(token, edit["gen"])
        for client, before in edit["ended"].items():
            ended_in[client].append((before, edit["gen"]))
    for op in uses(history):
        floor = floors.at_gateway(op["begin"]) if op["at"] == "gw" else floors.of(op["at"], op["begin"])
        shown = max(op.get("gens", {}).values(), default=0)
        ends = [gen for name, gen in revoked_in.items() if op["jti"] == name or op["jti"].startswith(f"{name}.")]
        ends += [gen for before, gen in ended_in.get(op.get("client", op["who"]), []) if op["iat"] < before]
        if ends and min(ends) <= shown and not disturbed.mixable(shown, op["at"]):
            yield f"generation {shown} let a token pass that generation {min(ends)} ended", [op]
        elif ends and min(ends) <= floor:
            yield f"a token passed that generation {min(ends)} ended, when generation {floor} was due", [op]


def by_lists(history, disturbed, floors):
    """What status lists say of the tokens of clients that the policies ended."""
    ended = defaultdict(list)
    for edit in history.edits:
        for client, before in edit["ended"].items():
            ended[client].append((before, edit["gen"]))
    for op in history.of_kind("status"):
        floor = floors.of(op["at"], op["begin"]) if op["status"] == 200 else 0
        for jti, issued, revoked in op.get("says", []):
            due = [before for before, gen in ended[op["client"]] if gen <= floor and issued < before]
            if due and not revoked:
                yield f"a status list says that {jti} is good, when generation {floor} was due", [op]
