"""Attacks on a gateway by hand, beside the table of `jeton gateway check` and without its code: whatever reaches the
service must be allowed by a reading of the sample's policies that is written here anew, and say who asks."""

import base64
import json
import re

from gateway_wire import request, statuses

# what the client `acme-sync`, and whoever shows no token, may do, as a service behind reads it
NAME = r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
ALLOWED = {
    None: [("GET HEAD", "/healthz")],
    "acme-sync": [
        ("GET HEAD", "/healthz"),
        ("GET HEAD", "/tenants/acme/orders"),
        ("GET HEAD PUT", f"/tenants/acme/orders/{NAME}"),
        ("POST", "/tenants/acme/orders"),
    ],
}
# nobody knows whose request it is, so it must not arrive
UNCLEAR = "?"
OVERRIDES = {"x-http-method-override", "x-http-method", "x-method-override"}
ELSEWHERE = re.compile(r"x-(original|rewrite)-.*|x-forwarded-(uri|url|path|method|prefix)")
MARK = "X-Row"


def identity(token):
    """What the service must be told of whoever shows this token; nothing without one."""
    if token is None:
        return {}
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    told = {
        "x-auth-client": claims["client_id"],
        "x-auth-scopes": claims["scope"],
        "x-auth-roles": " ".join(claims.get("roles", [])),
        "x-auth-token-id": claims["jti"],
        "x-auth-claim-tenant": claims.get("tenant", ""),
    }
    return {name: value for name, value in told.items() if value}


def fault(seen, who, token):
    """What is wrong with a request that reached the service, or None."""
    if who == UNCLEAR:
        return "it must not arrive"
    path = seen.target.split("?")[0]
    fits = (seen.method in methods.split() and re.fullmatch(pattern, path) for methods, pattern in ALLOWED[who])
    if not any(fits):
        return "the policies refuse that"
    if len(seen.all("host")) != 1 or "evil" in seen.one("host"):
        return "another host"
    told = {}
    for name, value in seen.headers:
        # as services read it that make variables of headers
        name = re.sub(r"[^a-z0-9]", "-", name.lower())
        if name in OVERRIDES or ELSEWHERE.fullmatch(name):
            return f"{name} of the client"
        if name.startswith("x-auth-") and value:
            if name in told:
                return f"{name} twice"
            told[name] = value
    return None if told == identity(token) else f"it is told {told}"


def rows(token):
    """Name, bytes without their mark, and who asks."""
    own, other, refund = "/tenants/acme/orders", "/tenants/globex/orders", "/tenants/acme/orders/42/refund"
    me, weak = "acme-sync", ".".join([*token.split(".")[:2], "A" * 342])

    def plain(name, who=me, **of):
        return name, of, b"", who

    found = [
        plain("allowed", target=own),
        plain("allowed by HEAD", method="HEAD", target=f"{own}/42"),
        plain("allowed with a query", target=f"{own}?x=/../%2e%2e;a"),
        plain("public", None, target="/healthz", token=None),
        plain("no token", None, target=own, token=None),
        plain("another tenant", target=other),
    ]
    paths = {
        "dot segments": ["/tenants/acme/../globex/orders", "/healthz/../tenants/globex/orders", "/./tenants/globex/orders", "/tenants/globex/../acme/orders", "/tenants/acme/./orders"],
        "encoded dots": ["/tenants/acme/%2e%2e/globex/orders", "/tenants/acme/.%2E/globex/orders", "/healthz/%2e%2e/tenants/globex/orders", "/tenants/globex/%2E%2e/acme/orders"],
        "encoded twice": ["/tenants/acme/%252e%252e/globex/orders", "/tenants/acme%252forders"],
        "semicolons": ["/tenants/acme/..;/globex/orders", "/tenants/globex;x=acme/orders", "/tenants/acme;/orders", "/healthz;/../tenants/globex/orders"],
        "empty segments": ["//tenants/globex/orders", "/tenants//globex/orders", "//evil.example.com/tenants/acme/orders", "/tenants/acme//orders"],
        "slashes": ["/tenants/acme%2f..%2fglobex/orders", "/tenants/acme%2Forders", r"/tenants/acme\..\globex\orders", "/tenants/acme/orders/..%5c..%5cglobex"],
        "marks": ["/healthz%3f/../tenants/globex/orders", "/healthz#/tenants/globex/orders", "/tenants/globex/orders%23", "/healthz%00/tenants/globex/orders"],
        "case": ["/TENANTS/acme/orders", "/Tenants/globex/orders"],
        "trailing slash": ["/tenants/acme/orders/", "/tenants/globex/orders/"],
        "escapes": ["/tenants/%67lobex/orders", "/tenants/acme/orders/%zz", "/tenants/acme/orders/%c0%ae%c0%ae"],
        "over-long": [f"/tenants/acme/orders/{'a' * 9000}", f"/{'a/../' * 100}tenants/globex/orders"],
        "absolute form": ["http://evil.example.com/tenants/globex/orders", "http://api.example.com/tenants/globex/orders", "*", "tenants/acme/orders"],
    }
    for name, spellings in paths.items():
        for path in spellings:
            found += [plain(name, target=path), plain(f"{name}, no token", None, target=path, token=None)]
    found += [plain("methods", method=method, target=own) for method in ["TRACE", "DELETE", "CONNECT", "PROPFIND", "get", "OPTIONS"]]
    for header in ["X-HTTP-Method-Override", "X_HTTP_Method_Override", "X-Method-Override", "X-HTTP-Method"]:
        found.append(plain("method override", target=f"{own}/42", headers=[f"{header}: DELETE"]))

    # where the gateway says what it is asked
    for header in ["X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path", "X_Original_URI", "X_Forwarded_Uri", "X-Envoy-Original-Path"]:
        found.append(plain("spoofed path", target=other, headers=[f"{header}: {own}"]))
        found.append(plain("spoofed path behind", target=own, headers=[f"{header}: {other}"]))
    for header in ["X-Original-Method", "X-Forwarded-Method", "X_Original_Method"]:
        found.append(plain("spoofed method", method="POST", target=refund, headers=[f"{header}: GET", "Content-Length: 0"]))
        found.append(plain("spoofed method behind", target=own, headers=[f"{header}: DELETE"]))
    for header in ["X-Original-Host", "X-Forwarded-Host", "Forwarded"]:
        found.append(plain("spoofed host", target=other, headers=[f"{header}: host=evil"]))

    # who asks
    for header in ["X-Auth-Client", "x-auth-client", "X_Auth_Client", "X-Auth_Client", "X.Auth.Client", "X-Auth-Roles", "X_Auth_Roles", "X-Auth-Claim-Tenant", "X_Auth_Claim_Tenant", "X-Auth-Unknown"]:
        for line in [f"{header}: evil", f"{header}:"]:
            found.append(plain("forged identity", target=own, headers=[line]))
            found.append(plain("forged identity, public", None, target="/healthz", token=None, headers=[line]))
    for header in ["X-Auth-Client", "x-auth-scopes", "X-Auth-Claim-Tenant", "Authorization", "X-Original-URI", "X-Forwarded-Uri", "Host"]:
        for value in [header, f"close, {header}", f"keep-alive , {header}"]:
            found.append(plain("hop by hop", target=own, headers=[f"Connection: {value}"]))
            found.append(plain("hop by hop, forged", target=own, headers=[f"Connection: {value}", "X-Auth-Client: evil"]))

    # more than one
    other_token = f"Authorization: Bearer {weak}"
    found += [
        plain("two tokens", UNCLEAR, target=own, headers=[other_token]),
        plain("two tokens, the bad one first", UNCLEAR, target=own, token=weak, headers=[f"Authorization: Bearer {token}"]),
        plain("a bad token", UNCLEAR, target=own, token=weak),
        plain("a bad token on a public route", UNCLEAR, target="/healthz", token=weak),
        plain("a token in the query", UNCLEAR, target=f"{own}?access_token={token}", token=None),
        plain("a token of another scheme", UNCLEAR, target=own, token=None, headers=[f"Authorization: Basic {token}"]),
        plain("two hosts", UNCLEAR, target=own, headers=["Host: evil.example.com"]),
        plain("two hosts, ours last", UNCLEAR, target=own, host="evil.example.com", headers=["Host: api.example.com"]),
        plain("no host", target=own, host=None),
    ]

    # a request within another
    inner = request(target=other, token=token, headers=[f"{MARK}: inner"])
    chunked = b"0\r\n\r\n" + inner
    length = f"Content-Length: {len(chunked)}"
    for name, headers, body in [
        ("length and chunks", [length, "Transfer-Encoding: chunked"], chunked),
        ("chunks and length", ["Transfer-Encoding: chunked", length], chunked),
        ("short length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"], b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)),
        ("odd encoding", [length, "Transfer-Encoding: xchunked"], chunked),
        ("encoding with a space", [length, "Transfer-Encoding : chunked"], chunked),
        ("two lengths", ["Content-Length: 0", f"Content-Length: {len(inner)}"], inner),
        ("upgrade", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"], inner),
        ("websocket", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="], inner),
        ("a second request behind", [], inner),
    ]:
        found.append((f"smuggling: {name}", {"method": "POST", "target": own, "headers": headers}, body, me))
    return found


def run(port, echo, token):
    """Sends the rows one after the other: how many were sent and how many arrived, and what arrived that must not."""
    holes, sent = [], {}
    for number, (name, of, body, who) in enumerate(rows(token), 1):
        mark = f"row-{number}"
        shown = of.get("token", token) if who != UNCLEAR else None
        sent[mark] = (name, who, shown)
        lines = [*of.get("headers", []), f"{MARK}: {mark}"]
        if not body and not any(line.startswith("Connection") for line in lines):
            lines.append("Connection: close")
        of = {"token": token} | of | {"headers": lines}
        answered = statuses(port, request(**of, body=body))
        if name.startswith(("allowed", "public")) and answered != [200]:
            holes.append((name, "it must pass", answered))
    for seen in list(echo.seen):
        mark = seen.one(MARK)
        name, who, shown = sent.get(mark, ("a request that was not sent", UNCLEAR, None))
        if (wrong := fault(seen, who, shown)) is not None:
            holes.append((name, wrong, seen.line, [header for header in seen.headers if header[0].lower() != "authorization"]))
    return len(sent), len(echo.seen), holes
