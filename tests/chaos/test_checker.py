"""The checker is checked: `python3 tests/chaos/test_checker.py`. A good history passes; for each rule a small bad one is refused,
and passes again where the documentation does not promise the opposite."""

import copy
import sys

from check_answers import NEEDED
from checker import check
from history import History

REPLICAS = ["r1", "r2", "r3"]
WALL = 1_000_000.0
FAR = 2_000_000


class Story:
    """A small history: an edit, a calm end in which everything works, and what a case adds."""

    def __init__(self):
        self.lines = [
            {
                "t": "world", "publish_ahead": 12, "poll": 1, "drain": 2, "leeway": 5, "grace": 3, "refresh_ttl": 60,
                "recovered": 7.0, "wall": WALL,
            },
            {"t": "healed", "at": 40.0}, {"t": "ended", "at": 52.0}, {"t": "pair", "number": 1, "begin": 0.0, "end": 0.1},
        ]
        self.lines += [{"t": "serving", "of": node, "at": 0.2} for node in REPLICAS]
        self.edit(1, 0.1)
        for node in REPLICAS:
            for kind in [*NEEDED, "revoke"]:
                self.op(kind, node, 48.0, **self.usual(kind))
        self.op("gateway", "gw", 48.0, jti="good", iat=0, exp=FAR)

    def usual(self, kind):
        """What an answer of this kind tells, where nothing is wrong."""
        token = {"kid": "k1", "jti": "good", "iat": 0, "exp": FAR, "gens": {}}
        judged = {"jti": "good", "iat": 0, "exp": FAR, "path": "/always", "gens": {}}
        return {
            "token.refresh": token | {"refreshed": f"f{len(self.lines)}.0"}, "judge": judged,
            "introspect": judged | {"active": True}, "principal": judged, "jwks": {"kids": ["k1", "k2"], "max_age": 6},
            "revoke": {"ends": "x", "iat": 0, "exp": FAR},
            "ready": {"ready": "ready", "store": "ready"}, "status": {"says": [], "client": "victim"},
        }.get(kind, token if kind.startswith("token.") else {})

    def op(self, kind, at, begin, status=200, end=None, **more):
        if status != 200:
            more.setdefault("retry_after", True)
        usual = self.usual(kind) if status == 200 else {}
        self.lines.append(
            {"t": "op", "n": len(self.lines), "who": "plain", "kind": kind, "at": at, "begin": begin}
            | {"end": end or begin + 0.01, "status": status} | usual | more
        )
        return self

    def lost(self, kind, at, begin, fail, end=None):
        return self.op(kind, at, begin, status=None, end=end, fail=fail)

    def fault(self, kind, of, begin, end, **more):
        self.lines.append({"t": "fault", "kind": kind, "of": of, "begin": begin, "end": end} | more)
        return self

    def edit(self, gen, begin, end=None, style="renamed", revoked=(), ended=None):
        self.lines.append({
            "t": "edit", "gen": gen, "style": style, "spoilt": begin, "begin": begin, "end": end or begin + 0.001,
            "revoked": list(revoked), "ended": ended or {}, "disabled": None,
        })
        return self

    def line(self, t, **fields):
        self.lines.append({"t": t} | fields)
        return self

    def without(self, kind, at):
        self.lines = [line for line in self.lines if (line.get("kind"), line.get("at")) != (kind, at)]
        return self


def token(kid, gen=1, **more):
    return {"kid": kid, "gens": {"clients": gen, "shop": gen}} | more


def stories():
    """Each case: its name, the rule that refuses it (None: it is good), and the history."""
    def story():
        return Story()

    def twice(kind, name):
        return story().op(kind, "r1", 10, once=[name]).op(kind, "r2", 12, once=[name])

    yield "everything works", None, story()

    yield "an assertion at two replicas", "once", twice("token.assertion", "assertion j")
    yield "a proof at two replicas", "once", twice("token.proof", "proof j")
    yield "an assertion behind a wipe", None, twice("token.assertion", "assertion j").fault("wipe", "store", 11, 11.1)
    yield "an assertion behind a wipe of before", "once", (
        twice("token.assertion", "assertion j").fault("wipe", "store", 8, 8.1)
    )
    yield "an assertion that a dead primary had just noted", None, (
        twice("token.assertion", "assertion j").fault("lossy-failover", "store", 11, 11.5)
    )
    yield "an assertion noted long before the primary died", "once", (
        story().op("token.assertion", "r1", 5, once=["assertion j"]).op("token.assertion", "r2", 12, once=["assertion j"])
        .fault("lossy-failover", "store", 11, 11.5)
    )
    yield "a new assertion that is refused", "once", (
        story().op("token.assertion", "r1", 10, status=401, error="invalid_client", once=["assertion j"])
    )

    def refreshed(*uses):
        made = story()
        for name, begin, status in uses:
            error = {} if status == 200 else {"error": "invalid_grant"}
            made.op("token.refresh", "r1", begin, status=status, refreshed=name, **error)
        return made

    yield "a retry within the grace", None, refreshed(("a.0", 10, 200), ("a.0", 12, 200), ("a.1", 13, 200))
    yield "a retry behind the grace", "refresh", refreshed(("a.0", 10, 200), ("a.0", 13.2, 200))
    yield "a retry behind the successor", "refresh", refreshed(("a.0", 10, 200), ("a.1", 10.5, 200), ("a.0", 11, 200))
    yield "a second use ends the family", None, refreshed(("a.0", 10, 200), ("a.0", 15, 400))
    yield "a family after a second use", "refresh", refreshed(("a.0", 10, 200), ("a.0", 15, 400), ("a.1", 16, 200))
    def lived(seconds):
        made = refreshed(("a.0", 10, 200), ("a.0", 15, 400), ("a.1", 16, 200))
        return made.op("token.first", "r1", 9, brought="a.0", iat=WALL + 15 + seconds - 60, exp=FAR)

    yield "a family that a clock ahead found expired", None, lived(1)
    yield "a family that no clock found expired", "refresh", lived(3)
    yield "a family that outlives its time", "refresh", (
        refreshed(("a.0", 10, 200), ("a.1", 20, 200)).op("token.first", "r1", 9, brought="a.0", iat=WALL + 15 - 60, exp=FAR)
    )
    yield "a family after its revocation", "refresh", (
        refreshed(("a.0", 10, 200), ("a.1", 16, 200)).op("revoke", "r2", 12, ends="a")
    )

    yield "a key that signs after it was published", None, (
        story().op("jwks", "r1", 10, kids=["k1", "k2"]).op("token.plain", "r2", 20, **token("k2"))
        .op("jwks", "r2", 5, kids=["k1"]).op("jwks", "r1", 30, kids=["k1", "k2"])
    )
    yield "a key that signs while sets without it are held", "keys", (
        story().op("jwks", "r1", 10, kids=["k1"]).op("token.plain", "r2", 13, **token("k2"))
    )
    yield "the same by a clock that is wrong", None, (
        story().op("jwks", "r1", 10, kids=["k1"]).op("token.plain", "r2", 13, **token("k2", exp=WALL + 16))
        .fault("wild-clock", "r2", 12, 14)
    )
    yield "a key that leaves the set while its token lives", "keys", (
        story().op("token.plain", "r2", 13, **token("k0", exp=WALL + 40)).op("jwks", "r1", 12, kids=["k0", "k1"])
        .op("jwks", "r1", 30, kids=["k1"])
    )
    yield "a key that leaves the set when its token has ended", None, (
        story().op("token.plain", "r2", 13, **token("k0", exp=WALL + 20)).op("jwks", "r1", 12, kids=["k0", "k1"])
        .op("jwks", "r1", 30, kids=["k1"])
    )
    verified = {"kid": "k1", "held": 18.0, "by": "r2"}
    yield "a token that a service verifies", None, story().op("offline", "r1", 20, outcome="good", **verified)
    yield "a token with a bad signature", "offline", story().op("offline", "r1", 20, outcome="bad-signature", **verified)
    yield "a token that no held set knows", "offline", story().op("offline", "r1", 20, outcome="unknown-key", **verified)

    def revoked(*uses, **more):
        made = story().op("revoke", "r1", 10, ends="t", **more)
        for at, begin in uses:
            made.op("judge", at, begin, jti="t.child" if at == "r3" else "t", **more)
        return made

    yield "a revoked token at once elsewhere", None, revoked(("r2", 10.5))
    yield "a token that is not good yet when it is revoked", None, revoked(("r1", 12.5), iat=WALL + 30)
    yield "a revoked token at once where it was revoked", "revoked", revoked(("r1", 10.5))
    yield "a revoked token later elsewhere", "revoked", revoked(("r2", 12.5))
    yield "what came of a revoked token", "revoked", revoked(("r3", 12.5))
    yield "a revoked token where the store is cut", None, revoked(("r2", 14)).fault("store-cut", "r2", 9, 15)
    yield "a revoked token long after the cut", "revoked", revoked(("r2", 21)).fault("store-cut", "r2", 9, 15)
    yield "a revoked token that the store forgot", "revoked", revoked(("r2", 30)).fault("wipe", "store", 20, 20.1)
    yield "a revoked token that a clock far ahead took for over", "revoked", (
        revoked(("r2", 20)).fault("wild-clock", "r2", 13, 15)
    )
    yield "a revoked token that nobody knows any more", None, (
        revoked(("r2", 20)).fault("wipe", "store", 10.2, 10.3).fault("kill", "r1", 10.1, 10.5)
        .line("exit", of="r1", at=10.2, code=-9, expected=True)
    )
    yield "a revoked token through the gateway", "revoked", (
        story().op("revoke", "r1", 10, ends="t").op("gateway", "gw", 14, jti="t", iat=0, exp=FAR)
    )
    yield "a revoked token at jeton's own API", "revoked", (
        story().op("revoke", "r1", 10, ends="t").op("principal", "r2", 14, jti="t")
    )
    yield "a revoked token that is active", "revoked", (
        story().op("revoke", "r1", 10, ends="t").op("introspect", "r2", 14, jti="t", iat=0, exp=FAR, active=True)
    )

    ended = story().edit(2, 10, revoked=["t"])
    yield "a token that the policies ended, within the bound", None, copy.deepcopy(ended).op("judge", "r1", 11, jti="t")
    yield "a token that the policies ended, behind the bound", "revoked-files", (
        copy.deepcopy(ended).op("judge", "r1", 14, jti="t")
    )
    yield "a token that the policies ended, in a replica that was stopped", None, (
        copy.deepcopy(ended).op("judge", "r1", 14, jti="t").fault("stop", "r1", 10.1, 13.9)
    )
    yield "a token that ends with the path that opens", "revoked-files", (
        copy.deepcopy(ended).op("judge", "r1", 10.4, jti="t", path="/only/g2", gens={"shop": 2})
    )
    yield "a token of a client that the policies ended", "revoked-files", (
        story().edit(2, 10, ended={"victim": 500}).op("judge", "r1", 14, who="victim", iat=499)
    )
    yield "a later token of that client", None, (
        story().edit(2, 10, ended={"victim": 500}).op("judge", "r1", 14, who="victim", iat=501)
    )
    says = story().edit(2, 10, ended={"victim": 500})
    yield "a list that knows", None, copy.deepcopy(says).op("status", "r1", 14, says=[["t", 499, 1], ["u", 501, 0]])
    yield "a list that does not know", "revoked-lists", copy.deepcopy(says).op("status", "r1", 14, says=[["t", 499, 0]])

    yield "a mixture of policies", "policies", (
        story().edit(2, 10).op("token.plain", "r1", 10.5, kid="k1", gens={"clients": 2, "shop": 1})
    )
    slow = story().edit(2, 10, end=10.3, style="slow").op("token.plain", "r1", 10.5, kid="k1", gens={"clients": 2, "shop": 1})
    yield "a mixture by a poll", "policies", slow
    yield "a mixture by an order to reload", None, copy.deepcopy(slow).fault("reloads", "policies", 9, 10)
    yield "a mixture that a slow writer left lying", None, (
        story().edit(2, 10, end=10.9).op("token.plain", "r1", 10.5, kid="k1", gens={"clients": 2, "shop": 1})
    )
    yield "a replica that goes back", "policies", (
        story().edit(2, 10).op("token.plain", "r1", 10.5, **token("k1", 2)).op("token.plain", "r1", 11, **token("k1", 1))
    )
    yield "a replica that does not read on", "policies", story().edit(2, 10).op("token.plain", "r1", 15, **token("k1", 1))
    bundle = {"kid": "k1", "gens": {"shop": 2}, "hash": "h2"}
    yield "a bundle of one generation", None, (
        story().edit(2, 10, revoked=["t"]).op("bundle", "r1", 13, revoked=["t"], **bundle)
    )
    yield "a replica that says it has older policies", "policies", (
        story().edit(2, 10).op("bundle", "r1", 13, revoked=[], **bundle).edit(3, 20).op("ready", "r2", 30, hash="h2")
    )
    yield "a bundle of two generations", "policies", (
        story().edit(2, 10, revoked=["t"]).op("bundle", "r1", 13, revoked=[], **bundle)
    )

    yield "a 500", "statuses", story().op("token.plain", "r1", 10, status=500, error="server_error")
    yield "a client with a secret that waits for the store", "statuses", (
        story().op("token.plain", "r1", 10, status=503, error="temporarily_unavailable").fault("store-cut", "r1", 9, 12)
    )
    yield "an assertion without the store", None, (
        story().op("token.assertion", "r1", 10, status=503, error="temporarily_unavailable").fault("store-cut", "r1", 9, 12)
    )
    yield "an assertion with the store", "statuses", (
        story().op("token.assertion", "r1", 10, status=503, error="temporarily_unavailable")
    )
    yield "a 503 without Retry-After", "statuses", (
        story().op("revoke", "r1", 10, status=503, error="temporarily_unavailable", retry_after=False, ends="x")
        .fault("store-cut", "r1", 9, 12)
    )
    yield "a gateway without a replica", "statuses", story().op("gateway", "gw", 10, status=500)
    away = story().op("gateway", "gw", 10, status=500)
    for node in REPLICAS:
        away.fault("kill", node, 4, 6)
    yield "a gateway that passes all replicas over, shortly after they came back", None, away
    yield "a good token that is denied", "denials", story().op("judge", "r1", 10, status=401, **story().usual("judge"))
    yield "an ended token that is denied", None, (
        story().op("revoke", "r1", 9, ends="good2").op("judge", "r1", 10, status=401, jti="good2", iat=0, exp=FAR)
    )

    drained = story().fault("drain", "r1", 10, 14, ended=13).line("exit", of="r1", at=13, code=0, expected=True)
    yield "refused behind a drain", None, copy.deepcopy(drained).lost("token.plain", "r1", 12.5, "refused")
    yield "refused within a drain", "unanswered", copy.deepcopy(drained).lost("token.plain", "r1", 11, "refused")
    yield "reset behind a drain", None, copy.deepcopy(drained).lost("token.plain", "r1", 12.1, "unreached")
    yield "reset within a drain", "unanswered", copy.deepcopy(drained).lost("token.plain", "r1", 11.1, "unreached")
    yield "cut off in a drain", "unanswered", copy.deepcopy(drained).lost("token.plain", "r1", 12.1, "cut")
    yield "cut off by kill -9", None, (
        story().fault("kill", "r1", 10, 12).line("exit", of="r1", at=10, code=-9, expected=True)
        .lost("token.plain", "r1", 9.99, "cut", 10.01)
    )
    yield "cut off by nobody", "unanswered", story().lost("token.plain", "r1", 10, "cut")
    yield "lost by the gateway", "unanswered", story().lost("gateway", "gw", 10, "cut")

    renewed = story().line("pair", number=2, begin=10, end=10.1)
    yield "the newest certificate", None, copy.deepcopy(renewed).op("certificate", "r1", 14, serial=2)
    yield "an old certificate", "certificates", copy.deepcopy(renewed).op("certificate", "r1", 14, serial=1)
    yield "a replica that ends by itself", "died", story().line("exit", of="r1", at=10, code=101, expected=False)
    yield "a replica that cannot start by torn files", None, (
        story().fault("policies-torn", "policies", 9, 11).fault("kill", "r1", 8, 9)
        .line("serving", of="r1", at=9.9).line("exit", of="r1", at=10, code=1, expected=False)
    )

    yield "no refresh after the last fault", "recovery", story().without("token.refresh", "r2")
    yield "a 503 after the last fault", "recovery", (
        story().op("revoke", "r2", 49, status=503, error="temporarily_unavailable", ends="x").fault("store-cut", "r2", 48, 50)
    )
    yield "a replica that does not find the store again", "recovery", story().op("ready", "r2", 49, store="unreachable")


def main():
    wrong, refused = 0, set()
    for name, rule, story in stories():
        found = check(History(story.lines))
        rules = {one for one, _, _ in found}
        if rules != ({rule} if rule else set()):
            wrong += 1
            print(f"error: {name}: refused by {sorted(rules) or 'nothing'}, not by {rule or 'nothing'}: {found[:2]}")
        refused |= rules
    every = set(rule for _, rule, _ in stories() if rule)
    print(f"{sum(1 for _ in stories())} histories, {len(every)} rules, {wrong} judged wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
