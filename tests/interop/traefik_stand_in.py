"""What Traefik's documentation says that it does with headers and paths, by the settings of our recipe. No Traefik runs
here: Debian, PyPI and npm do not have it.

doc.traefik.io: reference/install-configuration/entrypoints, security/request-path, and of routing-configuration/http the
middlewares headers and forwardauth. A setting that is not known here is an error, so that none is passed over in silence;
what is malformed as HTTP is refused.
"""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from gateway_wire import Server, ask

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}
FORWARDED = re.compile(r"(?i)x-forwarded-.*|x-real-ip")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ENCODED = {
    "allowEncodedSlash": "2f", "allowEncodedBackSlash": "5c", "allowEncodedNullCharacter": "00",
    "allowEncodedSemicolon": "3b", "allowEncodedPercent": "25", "allowEncodedQuestionMark": "3f", "allowEncodedHash": "23",
}


def known(what, table, *names):
    """A table of the recipe, which has these keys and no others."""
    if set(table) != set(names):
        sys.exit(f"error: {what} of the recipe has {sorted(table)}, and the stand-in knows {sorted(names)}")
    return [table[name] for name in names]


def read(file):
    return YAML(typ="safe").load(Path(file).read_text())


class Refused(Exception):
    """Answered by Traefik itself."""


class StandIn(Server):
    def __init__(self, folder):
        static = read(folder / "traefik.yml")
        _, entries, providers = known("traefik.yml", static, "global", "entryPoints", "providers")
        [entry] = known("entryPoints", entries, "edge")
        address, http = known("the entry point", entry, "address", "http")
        self.aliases, self.sanitizes, encoded = known("http", http, "aliasHeadersStrategy", "sanitizePath", "encodedCharacters")
        self.refused = [code for name, code in ENCODED.items() if not encoded.get(name, True)]
        known("encodedCharacters", encoded, *ENCODED)
        [provider] = known("providers", providers, "file")
        dynamic = read(known("the file provider", provider, "filename", "watch")[0])
        [http] = known("traefik.dynamic.yml", dynamic, "http")
        routers, middlewares, services = known("http", http, "routers", "middlewares", "services")
        [router] = known("routers", routers, "edge")
        entry_points, rule, self.order, service = known("the router", router, "entryPoints", "rule", "middlewares", "service")
        if (entry_points, rule) != (["edge"], "PathPrefix(`/`)"):
            sys.exit(f"error: the router of the recipe does not take everything: {router}")
        self.middlewares = middlewares
        [balancer] = known("the service", services[service], "loadBalancer")
        [[server]] = known("the load balancer", balancer, "servers")
        self.upstream = urlsplit(known("the server", server, "url")[0]).port
        super().__init__(int(address.rpartition(":")[2]))

    def answer(self, request):
        try:
            return self.handle(request)
        except Refused as refusal:
            status, why = refusal.args
            return status, [("Connection", "close")], why.encode()
        except (OSError, ValueError) as error:
            return 502, [("Connection", "close")], repr(error).encode()

    def handle(self, request):
        method, target, headers = self.parsed(request)
        if method == "CONNECT" or not target.startswith("/"):
            raise Refused(404, "no router")
        target = self.tidied(target)
        hosts = [value for name, value in headers if name.lower() == "host"]
        # what Connection names, and what the client says of where it comes from, ends at the entry point
        named = {name.strip().lower() for key, value in headers if key.lower() == "connection" for name in value.split(",")}
        headers = [
            (name, value) for name, value in headers
            if name.lower() not in named | HOP_BY_HOP | {"host", "content-length"} and not FORWARDED.fullmatch(name)
        ]
        if self.aliases == "delete":
            headers = [(name, value) for name, value in headers if re.fullmatch(r"[A-Za-z0-9-]+", name)]
        forwarded = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", hosts[0]), ("X-Forwarded-For", "127.0.0.1")]
        for name in self.order:
            [(kind, settings)] = self.middlewares[name].items()
            if kind == "headers":
                headers = self.custom(settings, headers)
            elif kind == "forwardAuth":
                asked = [("X-Forwarded-Method", method), ("X-Forwarded-Uri", target), *forwarded]
                answer, headers = self.judged(settings, asked, headers)
                if answer is not None:
                    return answer
            else:
                sys.exit(f"error: the stand-in does not know the middleware {kind}")
        lines = [("Host", hosts[0]), *headers, *forwarded, ("Content-Length", len(request.body))]
        answer = ask(self.upstream, written(method, target, lines) + request.body)
        return answer.status, [], answer.body

    def parsed(self, request):
        """As Go's server reads a request, or refuses it."""
        parts = request.line.split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0") or not TOKEN.fullmatch(parts[0]):
            raise Refused(400, "request line")
        method, target, _ = parts
        headers = request.headers
        for name, value in headers:
            if not TOKEN.fullmatch(name) or re.search(r"[\0-\x08\x0a-\x1f\x7f]", value):
                raise Refused(400, f"header {name!r}")
        count = lambda name: len(request.all(name))
        if count("content-length") > 1 or count("transfer-encoding") and (
            count("content-length") or request.all("transfer-encoding") != ["chunked"]
        ):
            raise Refused(400, "length")
        if target.lower().startswith("http://"):
            parts = urlsplit(target)
            headers = [("Host", parts.netloc)] + [header for header in headers if header[0].lower() != "host"]
            target = "/" + target.split("//", 1)[1].partition("/")[2]
        hosts = [value for name, value in headers if name.lower() == "host"]
        if len(hosts) != 1 or not re.fullmatch(r"[][:._A-Za-z0-9-]*", hosts[0]):
            raise Refused(400, "host")
        return method, target, headers

    def tidied(self, target):
        """The path, tidied up before anybody judges it; the query as it is."""
        path, mark, query = target.partition("?")
        if re.search(r"[\0-\x20\x7f]", target) or re.search(r"%(?![0-9A-Fa-f]{2})", path):
            raise Refused(400, "path")
        if any(f"%{code}" in path.lower() for code in self.refused):
            raise Refused(400, "an escape that is not allowed")
        # what Go's EscapedPath writes for a path that is not encoded well
        path = re.sub(r'[^!$&\'()*+,;=:@\[\]/%A-Za-z0-9._~-]', lambda c: f"%{ord(c[0]):02X}", path)

        def unescaped(escape):
            byte = chr(int(escape[0][1:], 16))
            return byte if re.fullmatch(r"[A-Za-z0-9._~-]", byte) else escape[0].upper()

        path = re.sub(r"%[0-9A-Fa-f]{2}", unescaped, path)
        if self.sanitizes:
            kept = []
            for segment in path.split("/"):
                if segment == "..":
                    kept = kept[:-1]
                elif segment not in ("", "."):
                    kept.append(segment)
            ends = path.endswith(("/", "/.", "/..")) and kept
            path = "/" + "/".join(kept) + ("/" if ends else "")
        return path + mark + query

    def custom(self, settings, headers):
        [table] = known("headers", settings, "customRequestHeaders")
        names = {name.lower() for name in table}
        kept = [(name, value) for name, value in headers if name.lower() not in names]
        return kept + [(name, value) for name, value in table.items() if value]

    def judged(self, settings, asked, headers):
        """The answer if it is no permit, and the headers with those of a permit."""
        address, trusts, passed, pattern, _ = known(
            "forwardAuth", settings,
            "address", "trustForwardHeader", "authRequestHeaders", "authResponseHeadersRegex", "maxResponseBodySize",
        )
        if trusts:
            sys.exit("error: the recipe trusts what the client forwards")
        passed = {name.lower() for name in passed}
        url = urlsplit(address)
        lines = [("Host", url.netloc), *asked, *(header for header in headers if header[0].lower() in passed)]
        answer = ask(url.port, written("GET", url.path, lines))
        if not 200 <= answer.status < 300:
            back = [header for header in answer.headers if header[0].lower() not in HOP_BY_HOP | {"content-length"}]
            return (answer.status, back, answer.body), headers
        kept = [header for header in headers if not re.search(pattern, header[0])]
        return None, kept + [header for header in answer.headers if re.search(pattern, header[0])]


def written(method, target, lines):
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode("latin-1")
