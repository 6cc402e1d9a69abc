"""The orders API without a line about tokens: nginx stands before it and asks jeton about each request.

    jeton --config jeton.toml gateway config edge --listen 127.0.0.1:8083 --upstream 127.0.0.1:9103 --out edge
    nginx -p "$PWD/edge" -c "$PWD/edge/nginx.conf"
    PORT=9103 python3 service.py

What comes here was allowed by the policies, and X-Auth-* say who asks. Both hold only for what came through nginx. So
nobody else may reach this port: it listens on this machine alone. Elsewhere a network policy or a firewall does that.
"""

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


def health(_client):
    return 200, {"status": "live"}


def list_orders(client, tenant):
    return 200, {"orders": [{"order": 42, "total": "99.00"}], "read_by": client, "tenant": tenant}


def create_order(client, tenant):
    return 201, {"created_by": client, "order": 43, "tenant": tenant}


def refund_order(client, tenant, order):
    return 200, {"by": client, "refunded": order, "tenant": tenant}


ROUTES = {
    ("GET", "/healthz"): health,
    ("GET", "/tenants/([^/]+)/orders"): list_orders,
    ("POST", "/tenants/([^/]+)/orders"): create_order,
    ("POST", "/tenants/([^/]+)/orders/([^/]+)/refund"): refund_order,
}


class Orders(BaseHTTPRequestHandler):
    def answer(self):
        # Read as jeton reads it: cut at the `?`, decoded once. It refuses what two readers might take differently.
        path = unquote(self.path.partition("?")[0])
        for (method, pattern), route in ROUTES.items():
            if method == self.command and (found := re.fullmatch(pattern, path)):
                # Each token has an id. Without one, or with two, this did not come through nginx as it should be.
                if route is not health and len(self.headers.get_all("X-Auth-Token-Id", [])) != 1:
                    return self.reply(403, {"detail": "ask through the gateway"})
                return self.reply(*route(self.headers.get("X-Auth-Client"), *found.groups()))
        return self.reply(404, {"detail": "there is nothing at this path"})

    do_GET = do_POST = answer

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Orders).serve_forever()
