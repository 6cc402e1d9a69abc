#!/usr/bin/env python3
"""A day of one server: what happens to it shows in metrics, log, traces and alerts, each number right, and nothing
secret anywhere.

    day_check.py PROGRAM        the jeton program

The server speaks TLS on both listeners, shares a redis-server, exports traces to a receiver here, and is scraped by
Prometheus, which gets its token over that TLS and has the rules of deploy/prometheus/. Absent programs are failures.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from live import HERE, INVOICES, ORDERS, answers, checks, free_port, place_of, secret_of

DEPLOY = HERE.parent.parent / "deploy"
RULES, DASHBOARD = DEPLOY / "prometheus/alerts.yaml", DEPLOY / "grafana/jeton.json"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

# beside the policies of this folder
MORE = """version: 1
apis:
  metrics:
    audience: https://metrics.example.com
    rules:
      read:
        routes:
          - GET /metrics
        require:
          scope: metrics:read
scopes:
  metrics:read: Read metrics
clients:
  scraper:
    secrets:
      - sha256: {scraper}
    grants:
      metrics:
        scopes: [metrics:read]
  watcher:
    secrets:
      - sha256: {watcher}
    grants:
      jeton:
        scopes: [jeton:principal]
"""


class Receiver:
    """Takes what is exported by OTLP over HTTP."""

    def __init__(self):
        self.bytes, self.spans = b"", []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bytes += body
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        receiver.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def named(self, name):
        return [span for span in self.spans if span.name == name]


def attributes(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


class Certificates:
    """A private authority, and pairs of its making."""

    def __init__(self, folder):
        self.folder, self.ca, self.serial = folder, folder / "ca.pem", 0
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
            "-subj", "/CN=The authority of this day", "-keyout", folder / "ca.key", "-out", self.ca,
        )

    def pair(self, days):
        """A certificate for this machine and its key; it expires in so many days."""
        self.serial += 1
        cert, key = self.folder / f"{self.serial}.pem", self.folder / f"{self.serial}.key"
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days,
            "-subj", "/CN=jeton", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.ca, "-CAkey", self.folder / "ca.key",
            "-keyout", key, "-out", cert,
        )
        return cert, key


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Day:
    def __init__(self, place):
        self.place, self.secrets = place, {secret_of("plain"), "interop-secret"}
        self.certificates = Certificates(place.folder)
        self.cert, self.key = place.folder / "tls.pem", place.folder / "tls.key"
        self.swap(90)
        digests = {client: sha256(secret_of(client).encode()).hexdigest() for client in ["scraper", "watcher"]}
        (place.policies / "day.yaml").write_text(MORE.format(**digests))
        self.receiver = Receiver()
        self.port, self.admin_port = free_port(), free_port()
        self.base, self.admin = f"https://localhost:{self.port}", f"https://localhost:{self.admin_port}"
        self.store = place.redis()
        place.issuer = self.base
        tls = {
            f"JETON__{listener}__TLS__{name}": str(path)
            for listener in ["SERVER", "ADMIN"]
            for name, path in [("CERT_FILE", self.cert), ("KEY_FILE", self.key)]
        }
        environment = place.environment(
            JETON__ISSUER=self.base,
            JETON__SERVER__LISTEN=f"127.0.0.1:{self.port}",
            JETON__SERVER__DRAIN="2s",
            JETON__ADMIN__LISTEN=f"127.0.0.1:{self.admin_port}",
            JETON__STORE__URL=self.store,
            JETON__POLICIES__POLL="1s",
            JETON__LIMITS__FAILURES="20/h",
            JETON__LOG__FORMAT="json",
            JETON__LOG__DECISIONS=str(place.folder / "decisions.log"),
            OTEL_EXPORTER_OTLP_ENDPOINT=self.receiver.address,
            OTEL_BSP_SCHEDULE_DELAY="200",
            **tls,
        )
        self.http = requests.Session()
        # a bundle that the environment names would count before this one
        self.http.trust_env, self.http.verify = False, str(self.certificates.ca)
        place.start([place.program, "serve"], "jeton", lambda: self.is_ready(), env=environment)

    def swap(self, days):
        """Another pair in the place of the former."""
        cert, key = self.certificates.pair(days)
        shutil.copy(key, self.key)
        shutil.copy(cert, self.cert)

    def is_ready(self):
        try:
            return self.get(f"{self.admin}/readyz").status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, url, **more):
        return self.http.get(url, timeout=10, **more)

    def ask(self, client, secret=None, path="oauth2/token", headers=None, **form):
        form = form if path != "oauth2/token" else {"grant_type": "client_credentials", **form}
        credentials = (client, secret or secret_of(client))
        answer = self.http.post(f"{self.base}/{path}", form, auth=credentials, headers=headers, timeout=10)
        for name in ["access_token", "refresh_token"]:
            # its signature is what nobody may see; header and claims are no secret
            if token := (answer.json().get(name) if answer.content else None):
                self.secrets.add(token.rsplit(".", 1)[1])
        return answer

    def token(self, client, **form):
        answer = self.ask(client, **form)
        checks.holds(f"{client} gets a token", answer.status_code == 200, answer.text)
        return answer.json()["access_token"]

    def metrics(self):
        answer = self.get(f"{self.admin}/metrics")
        if not answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"):
            sys.exit(f"error: the metrics are no text of version 0.0.4: {answer.headers}")
        found = {}
        for line in answer.text.splitlines():
            if sample := SAMPLE.match(line):
                name, labels, value = sample.groups()
                found[name, frozenset(LABEL.findall(labels or ""))] = float(value)
        self.scraped = answer.text
        return found

    def lines(self):
        log = self.place.folder / "jeton.log"
        return [json.loads(line) for line in log.read_text().splitlines()]

    def logged(self, event):
        return [line for line in self.lines() if line["event"] == event]


def value(metrics, name, **labels):
    return metrics.get((name, frozenset(labels.items())), 0.0)


def total(metrics, name):
    return sum(value for (found, _), value in metrics.items() if found == name)


def run(place):
    day = Day(place)
    holds, soon = checks.holds, checks.soon
    start = day.metrics()
    holds("a fresh server counts nothing", total(start, "jeton_tokens_issued_total") == 0, day.scraped)

    # --- tokens

    token = day.token("plain", resource=ORDERS)
    for _ in range(4):
        day.token("plain", resource=ORDERS)
    day.token("plain", resource=INVOICES)
    refresh = day.ask("refresher", resource=ORDERS).json()["refresh_token"]
    traced = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = day.ask("refresher", grant_type="refresh_token", refresh_token=refresh, headers=traced)
    holds("a refresh token is taken", answer.status_code == 200, answer.text)
    principal = day.token("watcher", resource=day.base)

    # --- refusals

    refused = Counter()
    for name, status, labels, asked in [
        ("a wrong secret", 401, ("client_credentials", "invalid_client", "plain"), {"client": "plain", "secret": "wrong-secret-of-day"}),
        ("an unknown client", 401, ("client_credentials", "invalid_client", "unknown"), {"client": "invented-1", "secret": "x"}),
        ("another", 401, ("client_credentials", "invalid_client", "unknown"), {"client": "invented-2", "secret": "x"}),
        ("a scope beyond the grant", 400, ("client_credentials", "invalid_scope", "plain"), {"client": "plain", "resource": ORDERS, "scope": "jeton:ops"}),
        ("an unknown target", 400, ("client_credentials", "invalid_target", "plain"), {"client": "plain", "resource": "https://nobody.example"}),
        ("an unknown grant", 400, ("unknown", "unsupported_grant_type", "plain"), {"client": "plain", "grant_type": "password"}),
    ]:
        answer = day.ask(**asked)
        holds(f"{name} is refused", answer.status_code == status, answer.text)
        refused[labels] += 1
    day.secrets.add("wrong-secret-of-day")

    # --- decisions

    for name, status, headers in [
        ("without a token", 401, {}),
        ("with a token for another API", 401, {"Authorization": f"Bearer {token}"}),
        ("with a good token", 200, {"Authorization": f"Bearer {principal}"}),
        ("again", 200, {"Authorization": f"Bearer {principal}"}),
    ]:
        answer = day.get(f"{day.base}/principal", headers=headers)
        holds(f"a protected endpoint {name}: {status}", answer.status_code == status, answer.text)
    answer = day.get(f"{day.base}/ops/policies", headers={"Authorization": f"Bearer {principal}"})
    holds("and one that the token does not open: 403", answer.status_code == 403, answer.text)

    # --- the numbers

    seen = day.metrics()
    for labels, expected in {
        ("client_credentials", "plain", "orders"): 5,
        ("client_credentials", "plain", "invoices"): 1,
        ("client_credentials", "refresher", "orders"): 1,
        ("refresh_token", "refresher", "orders"): 1,
        ("client_credentials", "watcher", "jeton"): 1,
    }.items():
        grant, client, api = labels
        counted = value(seen, "jeton_tokens_issued_total", grant=grant, client=client, api=api)
        holds(f"{expected} tokens of {labels}", counted == expected, day.scraped)
    holds("and no others", total(seen, "jeton_tokens_issued_total") == 9, day.scraped)
    issued = day.logged("token.issued")
    holds("the log has a line for each", len(issued) == 9, issued)
    for (grant, error, client), expected in refused.items():
        counted = value(seen, "jeton_token_requests_refused_total", grant=grant, error=error, client=client)
        holds(f"{expected} refused: {grant}, {error}, {client}", counted == expected, day.scraped)
    holds("and no others", total(seen, "jeton_token_requests_refused_total") == refused.total(), day.scraped)
    attempted = sorted(line["attempted"] for line in day.logged("token.refused") if "attempted" in line)
    holds("the log names who was attempted", attempted[:2] == ["invented-1", "invented-2"], attempted)
    holds("no series has that name", "invented" not in day.scraped)
    decided = {labels: value for (name, labels), value in seen.items() if name == "jeton_decisions_total" and value}
    counted = Counter()
    for labels, times in decided.items():
        counted[dict(labels)["outcome"]] += times
    holds("decisions are counted by their outcome", counted == {"allowed": 2, "denied": 1, "unauthenticated": 2}, decided)
    holds(
        "and by the rule that decided",
        value(seen, "jeton_decisions_total", api="jeton", rule="principal", outcome="allowed") == 2, decided,
    )
    used = {dict(labels)["client"] for name, labels in seen if name == "jeton_secret_last_used_timestamp_seconds"}
    holds("secrets that were used are known", {"plain", "refresher", "watcher"} <= used, used)

    # --- Prometheus, by a token of its own over TLS

    login = {
        "client_id": "scraper", "client_secret": secret_of("scraper"), "token_url": f"{day.base}/oauth2/token",
        "tls_config": {"ca_file": str(day.certificates.ca)},
        "endpoint_params": {"resource": "https://metrics.example.com"},
    }
    job = {
        "job_name": "jeton", "scheme": "https", "oauth2": login, "tls_config": {"ca_file": str(day.certificates.ca)},
        "static_configs": [{"targets": [f"localhost:{day.admin_port}"]}],
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)], "scrape_configs": [job],
    }
    (place.folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    prometheus = f"http://127.0.0.1:{port}"
    place.start(
        ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus", "--log.level=warn",
         f"--web.listen-address=127.0.0.1:{port}"],
        "prometheus", lambda: answers(f"{prometheus}/-/ready"), cwd=place.folder,
    )

    def query(expression):
        answer = requests.get(f"{prometheus}/api/v1/query", {"query": expression}, timeout=10).json()
        if answer["status"] != "success":
            sys.exit(f"error: Prometheus does not take `{expression}`: {answer}")
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in answer["data"]["result"]}

    def alerts():
        return {dict(labels)["alertname"] for labels in query("ALERTS")}

    soon("Prometheus scrapes the admin listener", lambda: list(query('up{job="jeton"}').values()) == [1.0], 20)
    soon("it reads what was counted", lambda: list(query("sum(jeton_tokens_issued_total)").values()) == [10.0], 20)

    # --- a rejected reload

    file = place.policies / "api.yaml"
    good = file.read_text()
    file.write_text(good.replace("scope: orders:read", "scope: orders:raed", 1))
    soon("bad policies are told by the metrics", lambda: value(day.metrics(), "jeton_policies_rejected") == 1, 10)
    holds("and by the log", len(day.logged("policies.rejected")) >= 1)
    holds("the last good ones stay in force", day.ask("plain", resource=ORDERS).status_code == 200)
    soon("and by an alert", lambda: "JetonPoliciesRejected" in alerts(), 20)
    file.write_text(good)
    soon("restored, nothing is rejected", lambda: value(day.metrics(), "jeton_policies_rejected") == 0, 10)
    soon("and the alert is gone", lambda: "JetonPoliciesRejected" not in alerts(), 20)

    # --- a rotation

    def keys(state):
        return value(day.metrics(), "jeton_keys", state=state, alg="RS256")

    holds("one key signs", (keys("active"), keys("next")) == (1, 0), day.scraped)
    place.jeton("keys", "rotate")
    soon("the next key is published", lambda: keys("next") == 1, 10)
    change = value(day.metrics(), "jeton_key_next_change_timestamp_seconds")
    holds("it signs in an hour", 3500 < change - time.time() < 3700, change)

    # --- certificates

    def expiry():
        return value(day.metrics(), "jeton_tls_certificate_expiry_timestamp_seconds", listener="server") - time.time()

    holds("the certificate lasts 90 days", 89 < expiry() / 86400 < 91)
    day.swap(10)
    soon("another pair is taken without a restart", lambda: 9 < expiry() / 86400 < 11, 10)
    holds("the log warns of its end", len(day.logged("tls.expires_soon")) >= 1, day.lines()[-5:])
    soon("and an alert", lambda: "JetonCertificateExpires" in alerts(), 20)
    day.key.write_text("half of a key")
    rejected = lambda: value(day.metrics(), "jeton_tls_rejected", listener="server")  # noqa: E731
    soon("a broken key is told", lambda: rejected() == 1, 10)
    holds("and the pair before serves on", day.get(f"{day.base}/healthz").status_code == 200)
    day.swap(90)
    soon("a good pair again", lambda: rejected() == 0 and expiry() > 80 * 86400, 10)

    # --- a store that goes away

    holds("the store is up", value(day.metrics(), "jeton_store_up") == 1)
    place.stop_redis()
    soon("it went away", lambda: value(day.metrics(), "jeton_store_up") == 0, 10)
    answer = day.ask("refresher", grant_type="refresh_token", refresh_token=refresh)
    holds("what needs it waits", answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, answer.text)
    holds("the rest goes on", day.ask("plain", resource=ORDERS).status_code == 200)
    soon("an alert says so", lambda: "JetonStoreDown" in alerts(), 20)
    place.redis(int(day.store.rsplit(":", 1)[1]))
    soon("and it is back", lambda: value(day.metrics(), "jeton_store_up") == 1, 30)

    # --- guessing secrets

    guesses = [f"guess-{n}-of-day" for n in range(40)]
    day.secrets.update(guesses)
    statuses = Counter(day.ask("plain", secret=guess).status_code for guess in guesses)
    holds("guesses are slowed down", set(statuses) == {401, 429}, statuses)
    holds("a right secret is not", day.ask("plain", resource=ORDERS).status_code == 200)
    limited = {dict(labels)["limit"]: count for (name, labels), count in day.metrics().items()
               if name == "jeton_rate_limited_total" and count}
    holds("each 429 is counted", limited == {"failures": statuses[429]}, limited)

    # --- the dashboard

    seen, questions = 0, 0
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            question = target["expr"]
            for variable, meant in (("$__rate_interval", "1m"), ("$job", "jeton"), ("$instance", ".+")):
                question = question.replace(variable, meant)
            questions += 1
            seen += bool(query(question))
    holds(f"of {questions} questions of the dashboard most have an answer", seen >= questions * 0.8, seen)

    # --- traces

    soon("the receiver has spans of requests for tokens", lambda: len(day.receiver.named("POST /oauth2/token")) > 50, 10)
    spans = day.receiver.named("POST /oauth2/token")
    taken_up = [span for span in spans if span.trace_id.hex() == TRACE]
    holds("the trace of a caller is taken up", len(taken_up) == 1, len(taken_up))
    shown = attributes(taken_up[0])
    holds("its span says client, api and grant", {"refresher", "orders", "refresh_token"} <= set(map(str, shown.values())), shown)
    traced = [line for line in day.lines() if line.get("trace_id") == TRACE]
    holds("and so does the log", {line["event"] for line in traced} == {"token.issued", "request"}, traced)

    # --- the end

    server = next(one for one in place.running if one.log.name == "jeton.log")
    server.process.send_signal(signal.SIGTERM)
    soon("a server that drains is not ready", lambda: day.get(f"{day.admin}/readyz").status_code == 503, 2)
    holds("and answers on", day.ask("plain", resource=ORDERS).status_code == 200)
    holds("it ends well", server.process.wait(20) == 0)
    place.running.remove(server)
    holds("the log says so last", day.lines()[-1]["event"] == "stopped", day.lines()[-3:])
    soon("Prometheus sees it gone", lambda: list(query('up{job="jeton"}').values()) == [0.0], 20)
    soon("and an alert says so", lambda: "JetonDown" in alerts(), 20)

    # --- nothing secret anywhere

    written = {
        "log": (place.folder / "jeton.log").read_bytes(),
        "decision log": (place.folder / "decisions.log").read_bytes(),
        "metrics": day.scraped.encode(),
        "traces": day.receiver.bytes,
    }
    for name, text in written.items():
        found = [secret for secret in day.secrets if secret.encode() in text]
        holds(f"nothing secret is in the {name} ({len(text)} bytes)", text and not found, found)


def main():
    program = str(Path(sys.argv[1]).resolve())
    with place_of("day", program) as place:
        run(place)
    print(f"{checks.count} checks hold")


main()
