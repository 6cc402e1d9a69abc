"""A second implementation of possession, plain and slow: it is there to disagree with the first one.

It was written from RFC 9449 (section 4.3 and 7), RFC 8705 (section 3), the RFCs that they name (3986, 7515, 7517, 7518,
7638, 7800) and the documentation alone. If it and the library answer differently, one of them or a page is wrong. Correct
it by what an RFC or a page says, never by what the Rust code does.

It begins with a token that is good, and says whether the request shows what the token is bound to.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from decide import KEY_TYPES, LEEWAY, BadToken, Json, from_base64url, read_json, verify_signature

# how long a proof may be, in bytes
LONGEST = 8192
# what the thumbprint of a key is made of, and the members that give a private key away (RFC 7517, RFC 7518, RFC 8037)
PUBLIC = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
OPTIONAL = {"kid": str, "alg": str, "use": str, "key_ops": list}
CURVES = {"EC": "P-256", "OKP": "Ed25519"}
PORTS = {"https": "443", "http": "80"}
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


# a key and the `jti` of a proof
Use = tuple[str, str]
# until when a proof that was used could be used again, if nobody remembered it
Seen = dict[Use, float]


class NotShown(Exception):
    """The request does not show what the token is bound to. The message is for whoever reads a difference."""


@dataclass
class Request:
    """What a request shows. `target` is as it was sent, with its query."""

    method: str
    target: str
    scheme: str  # of `Authorization`
    token: str
    proofs: list[str] = field(default_factory=list)  # the value of each header `DPoP`
    certificate: bytes | None = None  # in DER


def check(request: Request, claims: Json, origin: str, now: float, seen: Seen, bound_alone: bool = False) -> Seen:
    """Raises `NotShown`, or returns what must be added to `seen`. `bound_alone`: the API has `bound_tokens: true`."""
    cnf = confirmation_of(claims)
    if bound_alone and not cnf:
        raise NotShown("the token is not bound")
    by_proof = request.scheme.lower() == "dpop"
    if by_proof != ("jkt" in cnf):
        raise NotShown("the token is of another scheme")
    if "x5t#S256" in cnf:
        shown = request.certificate and hashlib.sha256(request.certificate).digest()
        if shown != from_base64url(cnf["x5t#S256"]):
            raise NotShown("another certificate, or none")
    if not by_proof:
        return {}
    proof = read_proof(request.proofs)
    check_proof(proof, request, cnf["jkt"], origin, now)
    use = (cnf["jkt"], proof.claims["jti"])
    if use in seen and now <= seen[use]:
        raise NotShown("the proof was seen before")
    return {use: proof.claims["iat"] + LEEWAY}


def confirmation_of(claims: Json) -> Json:
    """What the token is bound to. It is not taken as unbound if that cannot be understood."""
    if "cnf" not in claims:
        return {}
    cnf = claims["cnf"]
    known = {name: cnf[name] for name in ("jkt", "x5t#S256") if name in cnf} if isinstance(cnf, dict) else {}
    if not known:
        raise NotShown("it is bound to something unknown")
    for thumbprint in known.values():
        try:
            if type(thumbprint) is not str or len(from_base64url(thumbprint)) != 32:
                raise BadToken
        except BadToken:
            raise NotShown("it is bound to what is no thumbprint") from None
    return known


# --- the proof


@dataclass
class Proof:
    thumbprint: str
    claims: Json


def read_proof(proofs: list[str]) -> Proof:
    """Form and signature of the one proof."""
    if len(proofs) != 1:
        raise NotShown(f"{len(proofs)} proofs")
    parts = proofs[0].split(".")
    if len(proofs[0]) > LONGEST or len(parts) != 3:
        raise NotShown("no JWT of 8 KiB")
    try:
        header, claims = read_json(from_base64url(parts[0])), read_json(from_base64url(parts[1]))
        signature = from_base64url(parts[2])
    except BadToken:
        raise NotShown("malformed") from None
    # a media type, of which `application/` may be left out (RFC 7515 section 4.1.9)
    if str(header.get("typ")).lower().removeprefix("application/") != "dpop+jwt":
        raise NotShown("another `typ`")
    # they ask to trust what the proof brings, or change what is signed
    if any(name in header for name in ("crit", "jku", "x5u", "b64", "zip", "enc")):
        raise NotShown("a header parameter that is not understood")
    algorithm = {"Ed25519": "EdDSA"}.get(str(header.get("alg")), header.get("alg"))
    if type(algorithm) is not str or algorithm not in KEY_TYPES:
        raise NotShown("another `alg`")
    key = public_key(header.get("jwk"), algorithm)
    try:
        verify_signature(key, algorithm, f"{parts[0]}.{parts[1]}".encode(), signature)
    except BadToken:
        raise NotShown("the signature") from None
    return Proof(thumbprint_of(key), claims)


def thumbprint_of(key: Json) -> str:
    """RFC 7638"""
    members = json.dumps({name: key[name] for name in PUBLIC[key["kty"]]}, separators=(",", ":"), sort_keys=True)
    return to_base64url(hashlib.sha256(members.encode()).digest())


def public_key(jwk: Any, algorithm: str) -> Json:
    if not isinstance(jwk, dict) or jwk.get("kty") != KEY_TYPES[algorithm]:
        raise NotShown("no key of the algorithm's type")
    if any(name in jwk for name in PRIVATE):
        raise NotShown("a private key")
    if any(name in jwk and type(jwk[name]) is not kind for name, kind in OPTIONAL.items()):
        raise NotShown("a malformed key")
    if jwk.get("alg", algorithm) not in (algorithm, "Ed25519" if algorithm == "EdDSA" else algorithm):
        raise NotShown("a key for another algorithm")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise NotShown("a key for another use")
    kind = jwk["kty"]
    if any(type(jwk.get(name)) is not str for name in PUBLIC[kind]) or kind in CURVES and jwk["crv"] != CURVES[kind]:
        raise NotShown("a malformed key")
    try:
        for name in ("n", "e") if kind == "RSA" else ("x", "y")[:len(PUBLIC[kind]) - 2]:
            number = from_base64url(jwk[name])
            # RFC 7518 6.3.1.1 and 6.2.1.2: each number has one length
            if number[:1] in (b"", b"\0") if kind == "RSA" else len(number) != 32:
                raise BadToken
    except BadToken:
        raise NotShown("a malformed key") from None
    return jwk


def check_proof(proof: Proof, request: Request, jkt: str, origin: str, now: float) -> None:
    """RFC 9449 section 4.3, 8 to 12."""
    claims = proof.claims
    for name in ("jti", "htm", "htu", "ath"):
        if type(claims.get(name)) is not str:
            raise NotShown(f"no `{name}`")
    if claims["jti"] == "" or type(claims.get("nonce", "")) is not str:
        raise NotShown("no `jti`, or no nonce")
    if type(claims.get("iat")) not in (int, float):
        raise NotShown("no `iat`")
    if claims["htm"] != request.method:
        raise NotShown("another method")
    if normalised(claims["htu"]) != normalised(origin + request.target.partition("?")[0]):
        raise NotShown("another URL")
    if not -LEEWAY <= claims["iat"] - now <= LEEWAY:
        raise NotShown("another time")
    # RFC 7519 4.1.4 and 4.1.5: a proof need not name these, and is held to them where it does
    if any(name in claims and type(claims[name]) not in (int, float) for name in ("exp", "nbf")):
        raise NotShown("no time")
    if claims.get("exp", now) <= now - LEEWAY or claims.get("nbf", now) > now + LEEWAY:
        raise NotShown("another time")
    if claims["ath"] != to_base64url(hashlib.sha256(request.token.encode()).digest()):
        raise NotShown("another token")
    if proof.thumbprint != jkt:
        raise NotShown("another key")


# --- where a request goes


def normalised(url: str) -> tuple[str, str, str, str]:
    """Scheme, host, port and path in one spelling (RFC 3986 section 6.2.2 and 6.2.3), without query and fragment."""
    parts = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", url)
    if not parts or re.search(r"%(?![0-9A-Fa-f]{2})", parts[2] + parts[3]) or re.search(r"[^!-~]", url):
        raise NotShown("no URL")
    scheme, authority, path = parts[1].lower(), spelled(parts[2]), without_dots(spelled(parts[3]))
    place = re.fullmatch(r"([^@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]*))?", authority)
    if not place:
        raise NotShown("no host, or more than that")
    # small letters, but escapes have capital ones
    host = re.sub("%..|[^%]", lambda one: one[0].upper() if one[0][0] == "%" else one[0].lower(), place[1])
    return scheme, host, place[2] or PORTS.get(scheme, ""), path or "/"


def spelled(text: str) -> str:
    """Without escapes that say nothing, and the others in capital letters."""

    def escape(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in UNRESERVED else match[0].upper()

    return re.sub("%(..)", escape, text)


def without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4, in its words."""
    output = ""
    while path:
        if path.startswith("/./") or path == "/.":
            path = "/" + path[3:]
        elif path.startswith("/../") or path == "/..":
            path, output = "/" + path[4:], output[:output.rfind("/")] if output else ""
        else:
            end = path.find("/", 1)
            output, path = output + (path if end < 0 else path[:end]), "" if end < 0 else path[end:]
    return output


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
