"""Prometheus scrapes a service that takes tokens, by `oauth2` of its scrape configuration."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import requests

from live import ORDERS, answers, checks, free_port, secret_of

METRICS = "https://metrics.example.com"
WRONG = "oauth2: cannot fetch token: 401 Unauthorized"


def service(base):
    """Metrics for bearers with `metrics:read`."""
    keys = jwt.PyJWKClient(f"{base}/.well-known/jwks.json")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                key = keys.get_signing_key_from_jwt(token)
                claims = jwt.decode(token, key, algorithms=["RS256"], issuer=base, audience=METRICS)
            except jwt.PyJWTError:
                claims = {"scope": ""}
            allowed = "metrics:read" in claims["scope"].split()
            body = f'scraped_by{{client="{claims["client_id"]}"}} 1\n'.encode() if allowed else b""
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(place):
    base = place.serve()
    scraped = service(base)

    def job(name, secret=secret_of("scraper"), resource=METRICS):
        login = {"client_id": "scraper", "client_secret": secret, "token_url": f"{base}/oauth2/token"}
        login["endpoint_params"] = {"resource": resource}
        targets = [{"targets": [f"127.0.0.1:{scraped.server_port}"]}]
        return {"job_name": name, "oauth2": login, "static_configs": targets}

    jobs = [job("good"), job("wrong secret", secret="wrong"), job("another audience", resource=ORDERS)]
    # JSON is YAML
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    (place.folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    prometheus = f"http://127.0.0.1:{port}"
    command = [
        "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus", "--log.level=warn",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    place.start(command, "prometheus", lambda: answers(f"{prometheus}/-/ready"), cwd=place.folder)

    def ask(path, **query):
        return requests.get(f"{prometheus}/api/v1/{path}", query, timeout=10).json()["data"]

    def up():
        return {series["metric"]["job"]: series["value"][1] for series in ask("query", query="up")["result"]}

    checks.soon("Prometheus scrapes with a token, and neither with a wrong secret nor with one for another audience",
                lambda: up() == {"good": "1", "wrong secret": "0", "another audience": "0"}, seconds=20)
    [series] = ask("query", query="scraped_by")["result"]
    checks.holds("it has what the service says", series["metric"]["client"] == "scraper", series)
    errors = {target["labels"]["job"]: target["lastError"] for target in ask("targets")["activeTargets"]}
    seen = errors["wrong secret"]
    checks.holds("a wrong secret: it shows the error", WRONG in seen and '"invalid_client"' in seen, seen)
    seen = errors["another audience"]
    checks.holds("another audience: it shows the error", seen == "server returned HTTP status 401 Unauthorized", seen)
    scraped.shutdown()
