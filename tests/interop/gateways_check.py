#!/usr/bin/env python3
"""Real gateways before an echo service, each of which asks jeton about every request, by the recipes of the program.

    gateways_check.py PROGRAM [PART]...      the jeton program, and which of the parts below; without any, all

nginx, caddy and haproxy from Debian, envoy from PyPI; the part `services` has go and javac from Debian. A program that is
absent is a failure.
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gateway_attacks
import gateway_bound
import gateway_services
import gateways_offline
from gateway_traffic import ENOUGH, Tokens, Traffic, until
from gateway_wire import Echo
from gateways import KINDS, MANY_SCOPES, ROOT, Gateway, Site, counts, is_tight, need
from live import checks
from traefik_stand_in import StandIn


def each(action, gateways):
    """For all gateways at once; the first failure ends the program."""
    with ThreadPoolExecutor(len(gateways)) as pool:
        return list(pool.map(action, gateways))


def recipes(site):
    """The four programs by their recipes."""
    need(*KINDS)
    site.serve()
    gateways = [Gateway(site, kind) for kind in KINDS]
    each(Gateway.start, gateways)
    for gateway, done in zip(gateways, each(Gateway.check, gateways)):
        is_tight(gateway.kind, done)
    attacks(site, gateways)
    large_answers(site, gateways)
    changes(site, gateways)
    outage(site, gateways)


def attack(site, gateways):
    """Attacks by hand: for each gateway how many were sent and arrived, and what arrived that must not."""
    token = site.token()

    def run(gateway):
        echo = Echo(gateway.upstream)
        try:
            return gateway_attacks.run(gateway.port, echo, token)
        finally:
            echo.close()

    return each(run, gateways)


def attacks(site, gateways):
    for gateway, (sent, arrived, found) in zip(gateways, attack(site, gateways)):
        name = f"{gateway.kind}: of {sent} attacks and samples {arrived} reached the service, all as the policies allow"
        checks.holds(name, not found and sent > 150 and arrived > 20, found)


def large_answers(site, gateways):
    """The answer to a token of many scopes names them all, in more than one page of memory."""
    token = site.token(MANY_SCOPES)
    for gateway in gateways:
        echo = Echo(gateway.upstream)
        try:
            answer = gateway.ask(target="/tenants/acme/orders", token=token)
        finally:
            echo.close()
        told = [len((request.one("x-auth-scopes") or "").split()) for request in echo.seen]
        name = f"{gateway.kind}: the service is told each of 122 scopes"
        checks.holds(name, answer.status == 200 and told == [122], (answer.status, told))


# a rule of the sample's API that acme-sync loses and gains again, and globex-sync never loses
RULE = """      extra:
        routes:
          - GET /extra/{tenant}
        require:
          scope: orders:read
          claims:
            tenant: { same_as_path: tenant }
      health:
"""
ROWS = [
    ("own orders", "/tenants/acme/orders", "acme-sync", 200),
    ("the rule that changes", "/extra/acme", "acme-sync", None),
    ("another tenant", "/tenants/globex/orders", "acme-sync", 403),
    ("the rule that changes, still met", "/extra/globex", "globex-sync", 200),
    ("no token", "/tenants/acme/orders", None, 401),
    ("public", "/healthz", None, 200),
]


def changes(site, gateways):
    """Rules are lost, broken and gained again, and a key follows another, while requests go through."""
    rules = site.policies / "orders.yaml"
    loses = ("orders:read\n          claims:\n            tenant: { same_as_path: tenant }\n      health", "orders:refund\n      health")
    loaded = lambda: site.operator("/ops/policies")
    before = loaded()["hash"]
    site.edit("orders.yaml", "      health:\n", RULE)
    checks.soon("the policies with one more rule are loaded", lambda: loaded()["hash"] != before, 15)

    echoes = {gateway.kind: Echo(gateway.upstream) for gateway in gateways}
    tokens = Tokens(site, ["acme-sync", "globex-sync"])
    traffic = Traffic({gateway.kind: gateway.port for gateway in gateways}, tokens, ROWS, 200)
    began = time.monotonic()
    site.jeton("keys", "rotate")
    enough = lambda: all(traffic.certain(gateway.kind)[0] >= ENOUGH for gateway in gateways)
    until("the first rules were asked for enough", enough)

    def write(edit, answer):
        hash_before, rejected = loaded()["hash"], loaded()["rejected_reloads"]

        def is_known():
            now = loaded()
            return now["hash"] != hash_before if answer else now["rejected_reloads"] > rejected

        traffic.change(edit, is_known, answer or traffic.states[-1].answer)

    write(lambda: site.edit("orders.yaml", *loses), 403)
    write(lambda: site.edit("orders.yaml", "version: 1\n", "version: 1\nbroken: [\n"), None)
    write(lambda: site.edit("orders.yaml", "broken: [\n", "") or site.edit("orders.yaml", *reversed(loses)), 200)
    both = traffic.followed(tokens.of["acme-sync"])
    traffic.stop()

    took, wrong = time.monotonic() - began, traffic.wrong()
    checks.holds(f"{len(traffic.records)} requests in {took:.0f} s: not one wrong answer", not wrong, wrong[:8])
    checks.holds("tokens were fetched all the time", tokens.failure is None, tokens.failure)
    for gateway in gateways:
        kind, echo = gateway.kind, echoes[gateway.kind]
        echo.close()
        mine = [record for record in traffic.records if record.gateway == kind]
        certain = traffic.certain(kind)
        checks.holds(f"{kind}: answers by each state of the rules: {certain}", min(certain) > 0, certain)
        passed = [traffic.passed(kind, kid) for kid in both]
        checks.holds(f"{kind}: tokens of both keys passed, the old one's also after the new one signed: {passed}", min(passed) > 0)
        told = {(seen.target, seen.one("x-auth-client") or "", seen.one("x-auth-claim-tenant") or "") for seen in echo.seen}
        checks.holds(
            f"{kind}: the service got each request that was allowed, {len(echo.seen)}, and who asks",
            len(echo.seen) == sum(record.outcome == 200 for record in mine)
            and told == {
                ("/tenants/acme/orders", "acme-sync", "acme"), ("/extra/acme", "acme-sync", "acme"),
                ("/extra/globex", "globex-sync", "globex"), ("/healthz", "", ""),
            },
            (len(echo.seen), told),
        )


def outage(site, gateways):
    """While jeton is away nothing passes, not even what is public."""
    token = site.token()
    site.stop_jeton()

    def attempts(gateway):
        echo = Echo(gateway.upstream)
        try:
            asked = [(target, client and token) for _, target, client, _ in ROWS] * 2
            return [gateway.ask(target=target, token=shown).status for target, shown in asked], len(echo.seen)
        finally:
            echo.close()

    for gateway, (answered, arrived) in zip(gateways, each(attempts, gateways)):
        checks.holds(
            f"{gateway.kind}: without jeton nothing reaches the service: {sorted(set(answered))}",
            arrived == 0 and all(status >= 400 for status in answered), answered,
        )
    site.serve()
    for gateway in gateways:
        echo = Echo(gateway.upstream)
        allowed = lambda: gateway.ask(target="/tenants/acme/orders", token=token).status == 200
        checks.soon(f"{gateway.kind}: with jeton again it passes", allowed, 10)
        checks.holds(f"{gateway.kind}: and only what may", gateway.ask(target="/tenants/globex/orders", token=token).status == 403)
        echo.close()


def holes(site):
    """A configuration of nginx that is wrong on purpose is found to be."""
    need("nginx")
    site.serve()
    gateway = Gateway(site, "nginx", ROOT / "tests/fixtures/gateways/holes/nginx.conf")
    gateway.start()
    done = gateway.check()
    table = counts(done.stdout)
    checks.holds(f"holes: jeton gateway check ends with 3: {table.get('all')}", done.returncode == 3, (done.stdout[-3000:], done.stderr))
    for kind in HOLES:
        checks.holds(f"holes: it names those of {kind}: {table[kind][3]}", table[kind][3] > 0 and f"HOLE ({kind}): " in done.stdout, table)
    checks.holds("holes: none where there is none", table["tokens"][3] == table["as it is"][3] == table["case"][3] == 0, table)
    [(sent, arrived, found)] = attack(site, [gateway])
    named = {name for name, *_ in found}
    for name in ["dot segments", "slashes", "empty segments", "forged identity", "method override", "spoofed path behind"]:
        checks.holds(f"holes: so do the attacks by hand: {name}", name in named, named)


def lost_lines(site):
    """Recipes in which somebody has changed one line about what a token is bound to: the check sees each."""
    need(*KINDS)
    site.serve()
    gateways = []
    for kind, file, before, after, *expected in LOST:
        gateway = Gateway(site, kind, folder=f"{kind}-{len(gateways)}")
        recipe = gateway.folder / file
        text = recipe.read_text()
        checks.holds(f"{kind}: `{before.strip()}` stands in {file}", text.count(before) == 1, text)
        recipe.write_text(text.replace(before, after))
        gateways.append(gateway)
    each(Gateway.start, gateways)
    for gateway, done, (kind, _, line, _, code, says) in zip(gateways, each(Gateway.check, gateways), LOST):
        name = f"{kind} without `{line.strip().splitlines()[-1].strip()}`: jeton gateway check ends with {code} and says {says!r}"
        checks.holds(name, done.returncode == code and says in done.stdout, (done.returncode, done.stdout[-3000:], done.stderr))


REFUSED = "REFUSED: a token that is bound to a key, with its proof"
FORGED = "HOLE (client certificates): "
# kind, file, a line, what stands in its place, the exit code, and what is said
LOST = [
    ("nginx", "nginx.conf", 'proxy_set_header X-Original-URI $request_uri;', 'proxy_set_header X-Original-URI $request_uri; proxy_set_header DPoP "";', 1, REFUSED),
    ("caddy", "Caddyfile", "\t\t# DPoP goes along as it is.\n", "\t\trequest_header -DPoP\n", 1, REFUSED),
    ("haproxy", "jeton.lua", '        "dpop",\n', "", 1, REFUSED),
    ("envoy", "envoy.yaml", "                          - exact: dpop\n", "", 1, REFUSED),
    ("nginx", "nginx.conf", "            # The certificate of the client, if TLS has seen one: never what the client says. (DPoP goes along as it is.)\n            proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;\n", "", 3, FORGED),
    ("caddy", "Caddyfile", "\t\trequest_header -Client-Cert\n", "", 3, FORGED),
    ("haproxy", "haproxy.cfg", "    http-request del-header client-cert\n", "", 3, FORGED),
]

# what the wrong configuration lets through
HOLES = [
    "dot segments", "encoded dots", "empty segments", "encoded slashes", "encoded marks", "identity headers", "hop by hop",
    "forwarding headers", "method override", "file endings", "open folders",
]


def traefik(site):
    """Our recipe for Traefik, as a stand-in reads it."""
    site.serve()
    gateway = Gateway(site, "traefik")
    stand_in = StandIn(gateway.folder)
    try:
        is_tight("traefik", gateway.check())
        attacks(site, [gateway])
        site.stop_jeton()
        statuses = [gateway.ask(target=target).status for target in ("/healthz", "/tenants/acme/orders")]
        checks.holds(f"traefik: without jeton nothing passes: {statuses}", min(statuses) >= 400)
    finally:
        stand_in.close()


PARTS = {"recipes": recipes, "holes": holes, "lost": lost_lines, "bound": gateway_bound.run, "traefik": traefik,
         "offline": gateways_offline.run, "services": gateway_services.run}


def run(program, name):
    with tempfile.TemporaryDirectory(prefix="jeton-gateways-") as folder:
        site = Site(program, folder)
        try:
            PARTS[name](site)
        except BaseException:
            for program_ in site.running:
                print(f"--- end of {program_.log.name}\n{program_.log.read_text()[-4000:]}", file=sys.stderr)
            raise
        finally:
            site.stop()
    print(f"{checks.count} checks of {name} hold", flush=True)


def main():
    program, parts = str(Path(sys.argv[1]).resolve()), sys.argv[2:] or list(PARTS)
    if len(parts) == 1:
        return run(program, *parts)

    def apart(name):
        """In a process of its own, of which the output comes as a whole."""
        command = [sys.executable, __file__, program, name]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"--- {name}\n{done.stdout}", end="", flush=True)
        return name, done.returncode

    # most of the time is spent waiting
    with ThreadPoolExecutor(2) as pool:
        failed = [name for name, code in pool.map(apart, parts) if code != 0]
    if failed:
        sys.exit(f"error: {', '.join(failed)}: see above")


if __name__ == "__main__":
    main()
