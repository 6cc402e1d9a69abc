"""A second implementation of jeton's decision, plain and slow: it is there to disagree with the first one.

It was written from the documentation alone: docs/policies.md, docs/reference/{routes,tokens,errors,http,clients,log}.md,
docs/services.md, SECURITY.md, and the table of decisions in tests/fixtures/decisions. If it and the library answer
differently, one of them or a page is wrong. Correct it by what a page says, never by what the Rust code does.

It reads policies as jeton loads them, and looks for no errors in them. It knows no status lists, and refuses tokens that
point to one. It knows no bundles, gateways or fetched keys, and does not recognise Ed25519 keys of small order.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

Json = dict[str, Any]

LEEWAY = 30  # seconds
SCHEMES = ("bearer", "dpop")
ALLOWS = ("met", "public")  # the reasons of an allowed request
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
KEY_TYPES = {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA", "PS256": "RSA"}
# claims that are never a client's own
REGISTERED = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "roles", "cnf", "status",
              "auth_time", "exchanges", "act")


class BadToken(Exception):
    """The message is what the caller learns."""

    def __init__(self, message: str = "the access token is not valid here"):
        super().__init__(message)


class BadRequest(Exception):
    """It is not clear which token is meant. The message is what the caller learns."""


class BadPath(Exception):
    """Two servers might read the path differently."""


# --- policies


def read_policies(folder: Path) -> Json:
    policies: Json = {section: {} for section in ("scopes", "roles", "apis", "clients", "issuers")}
    policies["revoked_tokens"] = []
    for file in sorted(folder.rglob("*.yaml")):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        document = value_of(YAML(typ="safe", pure=True).compose(file.read_text(encoding="utf-8")))
        if document.pop("version") != "1":
            raise ValueError(f"{file}: write `version: 1`")
        document.pop("tests", None)
        for token in document.pop("revoked_tokens", []):
            policies["revoked_tokens"].append(token["jti"] if isinstance(token, dict) else token)
        for section, items in document.items():
            for name, item in items.items():
                if name in policies[section]:
                    raise ValueError(f"{file}: `{name}` is defined twice")
                policies[section][name] = item
    return policies


def value_of(node: Node, of_claims: bool = False) -> Any:
    """What stands in a YAML file. A number is one only among claims; elsewhere it is text."""
    if isinstance(node, MappingNode):
        return {key.value: value_of(value, of_claims or key.value == "claims") for key, value in node.value}
    if not isinstance(node, ScalarNode):
        return [value_of(item, of_claims) for item in node.value]
    text = node.value
    if not node.style and text in ("true", "false"):
        return text == "true"
    if node.style or not of_claims:  # a style is a kind of quotes
        return text
    if re.fullmatch(r"-?[1-9][0-9]*|0", text) and is_whole(int(text)):
        return int(text)
    if re.fullmatch(r"[-+]?[0-9][0-9_]*|0x[0-9A-Fa-f]+|0o[0-7]+", text):
        raise ValueError(f"readers of YAML disagree about `{text}`")
    return float(text) if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", text) else text


# --- the path and its route


def segments_of(path: str) -> list[str]:
    """The decoded segments. The last one is empty if the path ends in a slash."""
    if not path.startswith("/") or len(path.encode()) > 8192:
        raise BadPath
    raw_segments = path[1:].split("/")
    if "" in raw_segments[:-1] or len(raw_segments) > 64:
        raise BadPath
    segments = []
    for raw in raw_segments:
        if any(character == " " or ord(character) >= 0x80 for character in raw) or re.search("%(?![0-9A-Fa-f]{2})", raw):
            raise BadPath
        try:
            segment = re.sub(rb"%(..)", lambda escape: bytes.fromhex(escape[1].decode()), raw.encode()).decode("utf-8")
        except UnicodeDecodeError:
            raise BadPath from None
        if any(character in "/\\%;?#" or unicodedata.category(character) == "Cc" for character in segment):
            raise BadPath
        if segment and not segment.strip("."):
            raise BadPath
        segments.append(segment)
    return segments


def match(pattern: str, segments: list[str]) -> tuple[list[tuple[int, int]], dict[str, str]] | None:
    """A place for each segment of the pattern, of which the smaller is the more specific, and the parameters."""
    places: list[tuple[int, int]] = []
    parameters: dict[str, str] = {}
    if pattern.endswith("/**/"):
        if segments[-1] != "":
            return None
        pattern, segments = pattern[:-1], segments[:-1]
    parts = pattern[1:].split("/")
    for position, part in enumerate(parts):
        if position >= len(segments):
            return None
        segment = segments[position]
        if part == "**":
            return None if "" in segments[position:] else (places + [(4, 0)], parameters)
        if part.startswith("{"):
            name, ending = part[1:].split("}")
            if not segment.endswith(ending) or len(segment) == len(ending):
                return None
            parameters[name] = segment[:len(segment) - len(ending)]
            places.append((2, -len(ending)) if ending else (3, 0))
        elif part == segment:
            places.append((1, 0))
        else:
            return None
    return (places, parameters) if len(parts) == len(segments) else None


def find_rule(rules: Json, method: str, segments: list[str]) -> tuple[str, dict[str, str]] | None:
    """The rule of the most specific route, and what the path has at the parameters."""
    found = []
    for name, rule in rules.items():
        for route in rule["routes"]:
            route_method, pattern = route.split()
            fitting = [method, "GET", "ANY"] if method == "HEAD" else [method, "ANY"]
            matched = match(pattern, segments)
            if matched and route_method in fitting:
                found.append((matched[0], fitting.index(route_method), name, matched[1]))
    if not found:
        return None
    _, _, name, parameters = min(found, key=lambda route: route[:2])
    return name, parameters


# --- the token


def token_of(authorization: list[str], query: str) -> tuple[str, str] | None:
    """The scheme in small letters, and the token."""
    if any(unquote_plus(pair.split("=")[0]) == "access_token" for pair in query.split("&")):
        raise BadRequest("an access token must not be in the URL")
    if len(authorization) > 1:
        raise BadRequest("there are two authorization headers")
    value = authorization[0].strip(" \t") if authorization else ""
    if not value.isascii():
        raise BadRequest("the authorization header holds no token")
    scheme = re.match("[A-Za-z0-9!#$%&'*+.^_`|~-]*", value)[0]
    if scheme.lower() not in SCHEMES:
        return None
    rest = value[len(scheme):]
    if any(part.strip().lower().startswith(tuple(f"{one} " for one in SCHEMES)) for part in rest.split(",")[1:]):
        raise BadRequest("there are two authorization headers")
    if not re.fullmatch("[ ]+[A-Za-z0-9._~+/-]+=*", rest):
        raise BadRequest("the authorization header holds no token")
    return scheme.lower(), rest.strip(" ")


def is_whole(number: int) -> bool:
    return -2**63 <= number < 2**64


def read_json(data: bytes) -> Json:
    """An object without a name twice. A number that no condition can be about becomes a `float`."""

    def once(pairs: list[tuple[str, Any]]) -> Json:
        if len({name for name, _ in pairs}) != len(pairs):
            raise BadToken
        return dict(pairs)

    def number(text: str) -> int | float:
        return int(text) if len(text) < 30 and text != "-0" and is_whole(int(text)) else float(text)

    def refuse(_name: str) -> None:  # NaN and Infinity, which only Python knows
        raise BadToken

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_int=number, parse_constant=refuse)
    except ValueError:
        raise BadToken from None
    if not isinstance(value, dict):
        raise BadToken
    return value


def from_base64url(text: str) -> bytes:
    """Bytes in their one spelling: without padding, and without bits that say nothing."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except ValueError:
        raise BadToken from None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise BadToken
    return data


def verify_signature(key: Json, algorithm: str, signed: bytes, signature: bytes) -> None:
    def number(name: str) -> int:
        return int.from_bytes(from_base64url(key[name]), "big")

    try:
        if algorithm == "EdDSA":
            ed25519.Ed25519PublicKey.from_public_bytes(from_base64url(key["x"])).verify(signature, signed)
        elif algorithm == "ES256":
            if len(signature) != 64:
                raise BadToken
            pair = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            point = ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
            point.verify(pair, signed, ec.ECDSA(SHA256()))
        else:
            public = rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
            if not 2048 <= public.key_size <= 8192:
                raise BadToken
            form = padding.PKCS1v15() if algorithm == "RS256" else padding.PSS(padding.MGF1(SHA256()), 32)
            public.verify(signature, signed, form, SHA256())
    except (InvalidSignature, ValueError):
        raise BadToken from None


def verify(token: str, keys: list[Json], issuer: str, audience: str, policies: Json, now: int) -> Json:
    """The claims of a token that is in force."""
    parts = token.split(".")
    if len(token) > 8192 or len(parts) != 3:
        raise BadToken
    header = read_json(from_base64url(parts[0]))
    signature = from_base64url(parts[2])
    if any(name in header for name in ("crit", "jwk", "jku", "x5u", "b64", "zip", "enc")):
        raise BadToken
    algorithm, kid = header.get("alg"), header.get("kid")
    # its own algorithm binds a key, and its type one without
    key = [key for key in keys if kid is not None and key.get("kid") == kid and key.get("use", "sig") == "sig"
           and key["kty"] == KEY_TYPES.get(str(algorithm)) and key.get("alg", algorithm) == algorithm]
    if len(key) != 1:
        raise BadToken
    verify_signature(key[0], algorithm, f"{parts[0]}.{parts[1]}".encode(), signature)

    claims = read_json(from_base64url(parts[1]))
    for name, kind in (("exp", int), ("iat", int), ("nbf", int), ("auth_time", int), ("jti", str), ("sub", str),
                       ("client_id", str), ("scope", str), ("roles", list), ("act", dict)):
        if name in claims and type(claims[name]) is not kind:
            raise BadToken
    if "exp" not in claims or "iat" not in claims or "jti" not in claims or "status" in claims or claims.get("iss") != issuer:
        raise BadToken
    # a token of an anonymous client names nobody, and is of its own type
    typ = str(header.get("typ")).lower().removeprefix("application/")
    if ("sub" in claims, "client_id" in claims, typ) not in ((True, True, "at+jwt"), (False, False, "jwt")):
        raise BadToken
    # said of each token of the issuer, also of one for another API
    if claims["exp"] + LEEWAY <= now:
        raise BadToken("the access token has expired")
    if claims["iat"] > now + LEEWAY or claims.get("nbf", 0) > now + LEEWAY:
        raise BadToken
    audiences = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    if audience not in audiences or any(type(one) is not str for one in audiences):
        raise BadToken
    if why_ended(claims, policies["clients"], policies["revoked_tokens"]):
        raise BadToken
    return claims


def why_ended(claims: Json, clients: Json, revoked_tokens: list[str]) -> str | None:
    """What in the policies ended a token before its time."""
    # the `jti` of an exchanged or refreshed token begins with that of the token before, and a dot
    if any((claims.get("jti", "") + ".").startswith(revoked + ".") for revoked in revoked_tokens):
        return "revoked-token"
    first_issued = claims.get("auth_time", claims["iat"])
    for name in named_in(claims):
        client = clients.get(name, {})
        # whoever made the last exchange got this token when it was issued; others may have had the first one
        issued = claims["iat"] if name == claims.get("client_id") and name not in others_in(claims) else first_issued
        before = client.get("revoked_before")
        if client.get("enabled") is False:
            return "disabled-client"
        if before and issued < datetime.fromisoformat(before).timestamp():
            return "revoked-before"
    return None


def named_in(claims: Json) -> list[str]:
    """The clients that a token names: whom it is about, who has it, and who exchanged it before."""
    return [claims[name] for name in ("client_id",) if name in claims] + others_in(claims)


def others_in(claims: Json) -> list[str]:
    """Whom a token is about, and who exchanged it before its client."""
    named, actor = [claims["sub"]] if "sub" in claims else [], claims.get("act")
    if isinstance(actor, dict) and actor.get("sub") == claims.get("client_id"):
        actor = actor.get("act")
    while actor is not None:
        if not isinstance(actor, dict) or type(actor.get("sub")) is not str:
            raise BadToken
        named.append(actor["sub"])
        actor = actor.get("act")
    return named


# --- what a rule requires


def same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and type(a) in (str, int, bool) and a == b


def same_as_text(claim: Any, text: str) -> bool:
    return type(claim) is str and claim == text or type(claim) is int and is_whole(claim) and str(claim) == text


def claim_of(claims: Json, name: str) -> Any:
    """A claim by its name or JSON Pointer, or None."""
    value: Any = claims
    steps = [step.replace("~1", "/").replace("~0", "~") for step in name[1:].split("/")] if name.startswith("/") else [name]
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def claim_holds(claim: Any, condition: Json, parameters: dict[str, str]) -> bool:
    items = claim if isinstance(claim, list) else []
    tests = {
        "is": lambda value: same(claim, value),
        "in": lambda values: any(same(claim, value) for value in values),
        "contains": lambda value: any(same(item, value) for item in items),
        "same_as_path": lambda name: same_as_text(claim, parameters[name]),
        "contains_path": lambda name: any(same_as_text(item, parameters[name]) for item in items),
    }
    return all(tests[operator](value) for operator, value in condition.items())


def alternatives_of(requirement: Any) -> list[Json]:
    return requirement if isinstance(requirement, list) else [requirement]


def scopes_of(claims: Json) -> list[str]:
    return sorted(set(claims.get("scope", "").split(" ")) - {""})


def holds(alternative: Json, claims: Json, scopes: list[str], parameters: dict[str, str]) -> bool:
    roles = claims.get("roles", [])
    exchanged = claims.get("sub") != claims.get("client_id") or any(name in claims for name in ("auth_time", "exchanges", "act"))
    client = None if exchanged else claims.get("client_id")
    tests = {
        "scope": lambda scope: scope in scopes,
        "all_scopes": lambda names: all(scope in scopes for scope in names),
        "any_scope": lambda names: any(scope in scopes for scope in names),
        "role": lambda role: role in roles,
        "any_role": lambda names: any(role in roles for role in names),
        "client": lambda name: client == name,
        "any_client": lambda names: client in names,
        "claims": lambda items: all(claim_holds(claim_of(claims, name), item, parameters) for name, item in items.items()),
    }
    return all(tests[part](value) for part, value in alternative.items())


# --- the answer


def refuse_bound(scheme: str, _token: str, claims: Json) -> None:
    """Whoever knows nothing of possession takes unbound tokens alone."""
    if scheme != "bearer" or "cnf" in claims:
        raise BadToken


def answer(status: int, reason: str, rule: str | None, challenge: str | None = None, claims: Json | None = None) -> Json:
    principal = claims and {
        "client": claims.get("client_id"),
        "subject": claims.get("sub"),
        "scopes": scopes_of(claims),
        "roles": claims.get("roles", []),
        "claims": {name: value for name, value in claims.items() if name not in REGISTERED},
        "token_id": claims.get("jti"),
        "expires_at": claims["exp"],
    }
    return {"allowed": status == 200, "status": status, "reason": reason, "rule": rule, "challenge": challenge,
            "principal": principal}


def decide(policies: Json, api: str, issuer: str, keys: list[Json], now: int, method: str, target: str,
           authorization: list[str], check_holder: Callable[[str, str, Json], None] = refuse_bound) -> Json:
    """What a request is answered. `target` and the values of `authorization` are as they were sent. `check_holder` raises
    `BadToken` if the request does not show what its token is bound to: by scheme, token and claims."""
    path, _, query = target.partition("?")
    try:
        shown = token_of(authorization, query)
        claims = verify(shown[1], keys, issuer, policies["apis"][api]["audience"], policies, now) if shown else None
        if shown and claims:
            check_holder(*shown, claims)
    except BadRequest as error:
        return answer(400, "invalid-request", None, f'Bearer error="invalid_request", error_description="{error}"')
    except BadToken as error:
        return answer(401, "invalid-token", None, f'Bearer error="invalid_token", error_description="{error}"')

    def refused(reason: str, rule: str | None = None, scopes: list[str] | None = None) -> Json:
        if claims is None:
            return answer(401, reason, rule, "Bearer")
        why = f'scope="{" ".join(scopes)}"' if scopes else 'error_description="the access token does not allow this"'
        return answer(403, reason, rule, f'Bearer error="insufficient_scope", {why}')

    reason, rule, wanted = judge(policies["apis"][api].get("rules") or {}, claims, method, path)
    return answer(200, reason, rule, claims=claims) if reason in ALLOWS else refused(reason, rule, wanted)


def judge(rules: Json, claims: Json | None, method: str, path: str) -> tuple[str, str | None, list[str]]:
    """Why a request is allowed (`ALLOWS`) or not, the rule that decides, and the scopes that would help. Without a token
    there are no claims."""
    try:
        segments = segments_of(path)
    except BadPath:
        return "bad-path", None, []
    if method not in METHODS:
        return "bad-method", None, []
    found = find_rule(rules, method, segments)
    if found is None:
        return "no-route", None, []
    name, parameters = found
    if rules[name].get("public"):
        return "public", name, []
    if claims is None:
        return "no-token", name, []
    alternatives = alternatives_of(rules[name]["require"])
    scopes = scopes_of(claims)
    if any(holds(alternative, claims, scopes, parameters) for alternative in alternatives):
        return "met", name, []
    for alternative in alternatives:
        # all its scopes, also those that the token has; of `any_scope` one is enough
        wanted = [alternative["scope"]] if "scope" in alternative else []
        one_of = alternative.get("any_scope", [])
        wanted += alternative.get("all_scopes", []) + ([scope for scope in one_of if scope in scopes] + one_of)[:1]
        if holds(alternative, claims, scopes + wanted, parameters):
            return "not-met", name, sorted(set(wanted))
    return "not-met", name, []
