"""Every request is answered as the documentation says, none is lost in a drain, and in the end everything works again."""

from check_revoked import passes

# `fail_timeout` of the gateway, in seconds, and a bit
PASSED_OVER = 2.5
# for each kind: what may be answered, by status and error
TOKEN = {(200, None), (503, "temporarily_unavailable")}
ANSWERS = {
    "token.plain": {(200, None)},
    "token.victim": {(200, None), (401, "invalid_client")},
    "token.first": {(200, None)},
    "token.assertion": TOKEN | {(401, "invalid_client")},
    "token.proof": TOKEN | {(400, "invalid_dpop_proof")},
    "token.refresh": TOKEN | {(400, "invalid_grant")},
    "revoke": TOKEN,
    "introspect": TOKEN,
    "principal": {(200, None), (401, None), (503, None)},
    "judge": {(200, None), (401, None), (403, None)},
    "gateway": {(200, None), (401, None), (403, None), (500, None)},
    "ready": {(200, None), (503, None)},
    **dict.fromkeys(["jwks", "status", "bundle", "offline", "certificate"], {(200, None)}),
}


def statuses(history, disturbed):
    for op in history.ops:
        at, begin, end, status = op["at"], op["begin"], op["end"], op["status"]
        if status is None:
            continue
        if (status, op.get("error")) not in ANSWERS[op["kind"]]:
            yield f"{op['kind']} was answered {status} {op.get('error', '')}".rstrip(), [op]
        elif status == 503 and op["kind"] != "ready":
            if not op["retry_after"]:
                yield "a 503 without Retry-After", [op]
            if not disturbed.store[at].meet(begin, end):
                yield f"{op['kind']} was answered 503 while the store was there", [op]
        elif status == 500 and any(_well(node, disturbed, begin, end) for node in disturbed.replicas):
            yield "the gateway refused a request as if no replica were there", [op]


def _well(node, disturbed, begin, end):
    """Whether a gateway could ask this replica: nginx passes one over that did not answer a moment ago."""
    begin -= PASSED_OVER
    return not disturbed.down[node].meet(begin, end) and not disturbed.apart[node].meet(begin, end)


def denials(history, disturbed):
    """A good token passes."""
    ended = {}
    for op in history.of_kind("revoke"):
        ended[op["ends"]] = min(ended.get(op["ends"], op["begin"]), op["begin"])
    files, clients = {}, {}
    for edit in history.edits:
        for token in edit["revoked"]:
            files.setdefault(token, edit["begin"])
        for client in edit["ended"]:
            clients.setdefault(client, edit["begin"])
    wall = history.world["wall"]
    for op in history.of_kind("judge", "gateway", "introspect", "principal"):
        if op["status"] is None or op["status"] >= 500 or passes(op) or op.get("path", "/always") != "/always":
            continue
        parts = op["jti"].split(".")
        names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        begun = [known.get(name) for name in names for known in (ended, files)]
        begun.append(clients.get(op.get("client", op["who"])))
        why = any(time is not None and time <= op["end"] for time in begun)
        places = disturbed.replicas if op["at"] == "gw" else [op["at"]]
        excused = any(
            disturbed.store[node].meet(op["begin"], op["end"]) or disturbed.keys[node].meet(op["begin"] - 1, op["end"])
            for node in places
        )
        # a family that was used twice ends, and whoever holds its tokens is not told
        excused = excused or len(parts) > 1 or disturbed.any_wild.meet(0, op["end"])
        if not why and not excused and wall + op["end"] < op["exp"] - 2:
            yield "a good token was denied", [op]


def unanswered(history, disturbed):
    """Who gets no answer asked a replica that was killed, stopped, or could not be reached."""
    drains = history.faults_of("drain")
    for op in history.ops:
        if op["status"] is not None:
            continue
        at, begin, end = op["at"], op["begin"], op["end"]
        if at == "gw":
            if not disturbed.gateway.meet(begin, end) and not any(
                disturbed.apart[node].meet(begin, end) or disturbed.down[node].meet(begin, end) for node in disturbed.replicas
            ):
                yield f"a request through the gateway was lost ({op['fail']})", [op]
            continue
        if disturbed.stalls.meet(begin, end) or disturbed.unreached[at].meet(begin, end):
            continue
        drain = next((one for one in drains if one["of"] == at and _of_drain(one, op, history, disturbed)), None)
        if drain is not None:
            yield f"a request was lost in a drain ({op['fail']})", [drain, op]
        elif not disturbed.down[at].meet(begin, end):
            yield f"{op['kind']} was not answered ({op['fail']})", [op]


def _of_drain(drain, op, history, disturbed):
    """Whether this request came before the listener closed, at a replica that had started before it was told to end."""
    if drain.get("skipped") or op["begin"] > drain["ended"] or op["end"] < drain["begin"]:
        return False
    if _down_before(drain, history, disturbed):
        return False
    if op["fail"] in ("refused", "unreached"):
        return op["end"] < drain["begin"] + history.world["drain"]
    return op["begin"] >= drain["begin"] or op["end"] > drain["begin"] + 0.1


def _down_before(drain, history, disturbed):
    others = [
        fault for fault in history.faults if fault["of"] == drain["of"] and fault is not drain
        and fault["kind"] in ("kill", "stop", "drain") and fault["begin"] < drain["begin"]
    ]
    began = [one["at"] for one in history.serving if one["of"] == drain["of"] and one["at"] < drain["begin"]]
    return any(drain["begin"] - fault["end"] < 3 for fault in others) or drain["begin"] - max(began, default=0) < 3


def certificates(history, disturbed):
    """A listener shows whole pairs, the newest within a poll, and never an older one again."""
    best = dict.fromkeys(disturbed.replicas, (0, None))
    bound = history.world["poll"] + 2.0
    for op in history.of_kind("certificate"):
        at = op["at"]
        if op["status"] != 200:
            continue
        floor, why = best[at]
        for pair in history.pairs:
            end = disturbed.pairs[at].quiet_end(pair["end"] + 0.001, history.ended, bound)
            if end is not None and end < op["begin"] and pair["number"] > floor:
                floor, why = pair["number"], pair
        if op["serial"] < floor:
            yield f"certificate {op['serial']} was shown, when {floor} was due", [op, why]
        best[at] = max((floor, why), (op["serial"], op), key=lambda one: one[0])


def died(history, disturbed):
    """No program ends by itself, but for one that cannot start because its files are torn."""
    for gone in history.exits:
        if gone["expected"] or gone["at"] >= history.ended:
            continue
        began = max((one["at"] for one in history.serving if one["of"] == gone["of"] and one["at"] <= gone["at"]), default=0)
        served = any(
            op["at"] == gone["of"] and op["kind"] != "offline" and op["status"] and began < op["end"] < gone["at"]
            for op in history.ops
        )
        if served or gone["code"] != 1 or not disturbed.torn.meet(began - 0.1, gone["at"]):
            yield f"{gone['of']} ended by itself with code {gone['code']}", [gone]


NEEDED = [
    "token.plain", "token.assertion", "token.proof", "token.refresh", "judge", "introspect", "principal", "jwks", "ready", "status",
]


def recovery(history, disturbed):
    """A while after the last fault, everything is answered again, everywhere."""
    begin = history.healed + history.world["recovered"]
    calm = [op for op in history.ops if op["begin"] > begin]
    for op in calm:
        if disturbed.stalls.meet(op["begin"] - 1, op["end"]):
            continue
        if op["status"] is None or op["status"] >= 500:
            yield f"{op['kind']} does not work again", [op]
        elif op["kind"] == "ready" and (op["ready"], op["store"]) != ("ready", "ready"):
            yield "a replica is not ready again", [op]
    for kind in NEEDED:
        for node in disturbed.replicas:
            if not any(op["kind"] == kind and op["at"] == node and op["status"] == 200 for op in calm):
                yield f"no {kind} at {node} after the last fault", []
    for kind in ("revoke", "gateway"):
        if not any(op["kind"] == kind and op["status"] == 200 for op in calm):
            yield f"no {kind} after the last fault", []
