"""What can be wrong with a request.

Each function of `MUTANTS` spoils one thing of a draft, or spells it otherwise. Whether the request is still right is for
the model to say, and for the server.
"""

import base64
import hashlib
import json
import time

from cryptography.hazmat.primitives.asymmetric import utils
from drafts import METHODS, Draft, any_members, object_of, other_signature, put, text
from possession import PRIVATE, UNRESERVED, thumbprint_of, to_base64url

# of other types than a member should be
OTHER_VALUES = ("null", "true", "false", "0", "1", '""', "[]", "{}", '["x"]', '"x"', "1e400", "-1")
MUTANTS = []


def mutant(change=None, times=1):
    """One of `MUTANTS`, drawn as often as so many others."""
    if change is None:
        return lambda change: mutant(change, times)
    MUTANTS.extend([change] * times)
    return change


@mutant
def no_change(draft, chance, world):
    pass


@mutant(times=2)
def a_member_missing(draft, chance, world):
    members = any_members(draft, chance)
    del members[chance.randrange(len(members))]


@mutant(times=2)
def a_member_of_another_type(draft, chance, world):
    members = any_members(draft, chance)
    put(members, chance.choice(members)[0], chance.choice(OTHER_VALUES))


@mutant
def a_member_spelled_otherwise(draft, chance, world):
    members = any_members(draft, chance)
    place = chance.randrange(len(members))
    name = members[place][0]
    members[place] = (chance.choice((name.upper(), name.title(), f"{name} ", f" {name}", name[:-1])), members[place][1])


@mutant
def a_member_twice(draft, chance, world):
    members = any_members(draft, chance)
    name, value = chance.choice(members)
    if name == "jwk":
        value = object_of(draft.jwk)
    members.insert(chance.randrange(len(members) + 1), (name, chance.choice((value, '"x"'))))


@mutant
def another_value(draft, chance, world):
    members = any_members(draft, chance)
    name, value = chance.choice(members)
    if value and value.startswith('"') and len(value) > 2:
        place = chance.randrange(1, len(value) - 1)
        put(members, name, value[:place] + chance.choice("AQgwx0_-") + value[place + 1:])


@mutant
def a_further_header_parameter(draft, chance, world):
    draft.header.append(chance.choice((
        ("crit", "[]"), ("crit", '["exp"]'), ("b64", "true"), ("b64", "false"), ("zip", '"DEF"'), ("enc", '"A128GCM"'),
        ("jku", '"https://evil.example/jwks"'), ("x5u", '"https://evil.example/x"'), ("x5c", '["MIIB"]'), ("kid", '"k"'),
        ("cty", '"JWT"'), ("x5t", '"AAAA"'), ("iss", '"x"'), ("nonce", '"n"'), ("unknown", '{"deep":[1,2,{"x":null}]}'),
    )))


@mutant
def a_further_claim(draft, chance, world):
    draft.claims.append(chance.choice((
        ("nonce", '"of-somebody"'), ("nonce", "1"), ("exp", "1"), ("exp", '"x"'), ("exp", "9999999999"), ("nbf", "9999999999"),
        ("nbf", "1.5"), ("nbf", "null"), ("iss", '"x"'),
        ("sub", "1"), ("aud", '["x"]'), ("unknown", '{"x":{"y":[]}}'), ("client_id", '"holder"'),
    )))


@mutant
def a_further_member_of_the_key(draft, chance, world):
    private = [(name, chance.choice(('"AQAB"', '""', "null"))) for name in PRIVATE]
    draft.jwk.append(chance.choice((
        *private, ("use", '"sig"'), ("use", '"enc"'), ("alg", text(draft.algorithm)), ("alg", '"RS512"'), ("kid", '"k"'),
        ("key_ops", '["verify"]'), ("key_ops", '["sign"]'), ("x5c", '["MIIB"]'), ("unknown", '"x"'), ("ext", "true"),
    )))


@mutant
def another_typ(draft, chance, world):
    put(draft.header, "typ", text(chance.choice((
        "JWT", "jwt", "at+jwt", "DPoP+jwt", "DPOP+JWT", "application/dpop+jwt", "dpop+jwt ", "dpop", "dpop+jws",
        "dpop+jwt;v=1",
    ))))


@mutant
def another_alg_said(draft, chance, world):
    put(draft.header, "alg", text(chance.choice((
        "none", "None", "", "HS256", "RS256", "PS256", "ES256", "EdDSA", "Ed25519", "Ed448", "ES384", "RS384", "RS512",
        "PS512",
        "es256", "ES256K", "ES256 ", "ECDH-ES",
    ))))


@mutant
def another_alg(draft, chance, world):
    """Said and signed by."""
    draft.sign_as = chance.choice(draft.key.algorithms)
    put(draft.header, "alg", text(draft.sign_as))


@mutant
def signed_by_another_key(draft, chance, world):
    draft.signer = chance.choice(world.keys)
    draft.sign_as = draft.signer.algorithms[0]


@mutant
def another_key(draft, chance, world):
    """A proof that is right, by a key to which the token is not bound."""
    signed_by_another_key(draft, chance, world)
    put(draft.header, "alg", text(draft.sign_as))
    draft.jwk = [(name, text(value)) for name, value in draft.signer.jwk.items()]


@mutant
def a_key_too_weak(draft, chance, world):
    """And a token that is bound to it."""
    key = chance.choice((world.weak, world.long_curve))
    draft.signer, draft.sign_as = key, key.algorithms[0]
    put(draft.header, "alg", text(draft.sign_as))
    draft.jwk = [(name, text(value)) for name, value in key.jwk.items()]
    bound_to(draft, world, [("jkt", text(key.thumbprint))])


@mutant
def a_key_of_another_curve(draft, chance, world):
    put(draft.jwk, "crv", text(chance.choice(("P-256", "P-384", "p-256", "secp256k1", "Ed25519", "X25519", "Ed448", ""))))


@mutant
def a_number_of_another_length(draft, chance, world):
    """And a token that is bound to the key in this spelling."""
    name = chance.choice([name for name in draft.key.jwk if name in ("n", "e", "x", "y")])
    data = base64.urlsafe_b64decode(draft.key.jwk[name] + "==")
    put(draft.jwk, name, text(to_base64url(chance.choice((b"\0" + data, data[:-1], data[1:], b"")))))
    bound_to(draft, world, [("jkt", text(thumbprint_of(draft.key.jwk | {name: json.loads(dict(draft.jwk)[name])})))])


def bound_to(draft, world, cnf, cnf_json=None):
    """The same proof, for a token that is bound otherwise."""
    before = dict(draft.claims).get("ath")
    right = before == text(to_base64url(hashlib.sha256(draft.token.encode()).digest()))
    draft.cnf_json = cnf_json or (object_of(cnf) if cnf else None)
    draft.token = world.token(draft.way.audience, draft.cnf_json)
    if right:
        put(draft.claims, "ath", text(to_base64url(hashlib.sha256(draft.token.encode()).digest())))


@mutant
def another_binding(draft, chance, world):
    key, other = draft.key.thumbprint, chance.choice(world.keys).thumbprint
    bound_to(draft, world, [], chance.choice((
        None, "null", "{}", "[]", '"x"', '{"kid":"x"}', '{"jwk":{}}', f'{{"jkt":"{key}="}}', f'{{"jkt":"{key[:-1]}"}}',
        f'{{"jkt":"{key}","kid":"x"}}', f'{{"jkt":"{other}"}}', f'{{"jkt":["{key}"]}}', '{"jkt":null}', '{"jkt":""}',
        f'{{"JKT":"{key}"}}', f'{{"jkt":"{key}","x5t#S256":null}}', f'{{"x5t#S256":"{key}"}}',
        f'{{"jkt":"{key}","x5t#S256":"{key}"}}',
        f'{{"x5t":"{key}"}}', f'{{"jkt":" {key}"}}',
    )))


@mutant
def another_token(draft, chance, world):
    """As if a proof for one token were shown with another token of the same key."""
    draft.cnf_json = f'{{"jkt":"{draft.key.thumbprint}","another":{chance.randrange(3)}}}'
    draft.token = world.token(draft.way.audience, draft.cnf_json)


@mutant
def ath_spelled_otherwise(draft, chance, world):
    digest = hashlib.sha256(draft.token.encode()).digest()
    put(draft.claims, "ath", text(chance.choice((
        base64.urlsafe_b64encode(digest).decode(), base64.b64encode(digest).decode(), digest.hex(),
        to_base64url(hashlib.sha256(f"DPoP {draft.token}".encode()).digest()),
        to_base64url(hashlib.sha1(draft.token.encode()).digest()),
    ))))


@mutant
def another_scheme(draft, chance, world):
    draft.scheme = chance.choice(("Bearer", "DPoP"))


@mutant(times=3)
def another_certificate(draft, chance, world):
    draft.certificate = chance.choice((None, *world.certificates))


@mutant
def no_proof(draft, chance, world):
    draft.with_proof = not draft.with_proof


@mutant(times=2)
def another_time(draft, chance, world):
    off = chance.choice((0, 28, 29, 29.5, 30, 30.5, 31, 32, 33, 60, 3600, 1e9))
    moment = time.time() + chance.choice((1, -1)) * off
    put(draft.claims, "iat", chance.choice((
        f"{moment:.0f}", f"{moment:.3f}", f"{moment:.9f}", f"{moment:.0f}.0", f"{moment:.12e}", f"{moment * 1000:.0f}",
        f"-{moment:.0f}",
        f'"{moment:.0f}"', f"{moment / 10:.0f}e1", f"{moment:.0f}00E-2",
    )))


@mutant
def another_method(draft, chance, world):
    """Of the request, or of the proof."""
    if chance.random() < 0.5:
        draft.method = chance.choice(draft.way.methods)
    put(draft.claims, "htm", text(chance.choice((
        *METHODS, draft.method.lower(), draft.method.title(), f"{draft.method} ", "", "*",
    ))))


@mutant
def another_target(draft, chance, world):
    draft.target = chance.choice(draft.way.targets)


@mutant(times=2)
def htu_of_another_place(draft, chance, world):
    origin, path = draft.way.origin, draft.target.partition("?")[0]
    host = origin.removeprefix("https://")
    put(draft.claims, "htu", text(chance.choice((
        f"http://{host}{path}", f"https://evil.example{path}", f"https://{host}.{path}", f"https://user@{host}{path}",
        f"https://@{host}{path}",
        f"https://user:secret@{host}{path}", f"https://{host}:444{path}", f"https://{host}{path}x",
        f"https://{host}{path}/", f"https://{host}",
        path, f"//{host}{path}", f"https:{path}", f"https:///{host}{path}", f"https:/{host}{path}",
        f"https:\\\\{host}{path}", "", "https://",
        f"https://evil.example/{host}{path}", f"https://{host}@evil.example{path}", f"https://{host}\\.evil.example{path}",
        f" https://{host}{path}", f"https://{host}{path} ", f"https://{host}{path}\t", f"https://{host}/{path}",
        f"https://[{host}]{path}",
        f"https://{host}{path}%", f"https://{host}{path}%zz", f"https://{host}{path}%2", f"https://{host}{path}\u00e9",
        f"https://{host}{path.lower()}",
        f"https://x.{host}{path}", f"wss://{host}{path}", f"https://{host}{path};x", f"https://{host}:8443:8443{path}",
        f"https://{host}:0443{path}",
    ))))


@mutant(times=3)
def htu_spelled_otherwise(draft, chance, world):
    """Mostly the same place, by RFC 3986 section 6.2.2 and 6.2.3."""
    origin, path = draft.way.origin, draft.target.partition("?")[0]
    scheme, _, host = origin.partition("://")
    name, _, port = host.partition(":")
    for change in chance.sample(range(12), chance.choice((1, 1, 2, 3))):
        place = chance.randrange(len(path) or 1)
        if change == 0:
            scheme = chance.choice(("HTTPS", "Https"))
        elif change == 1:
            name = chance.choice((name.upper(), name.title()))
        elif change == 2:
            port = port or chance.choice(("443", "", "0443", "80"))
            name, port = name, f":{port}"
        elif change == 3 and path[place:place + 1] and path[place] in UNRESERVED and "%" not in path[max(0, place - 2):place]:
            path = path[:place] + chance.choice(("%{:02x}", "%{:02X}")).format(ord(path[place])) + path[place + 1:]
        elif change == 4:
            path = "".join(chance.choice((part.lower(), part)) for part in path.partition("%")) if "%" in path else path
        elif change == 5:
            path = f"/{chance.choice(('.', '%2e', '%2E', 'x/..', 'x/%2e%2E', '..', '../..', 'x/y/../..'))}{path}"
        elif change == 6:
            path += chance.choice(("?", "?x=y", "#", "#x", "?x#y", "?x=/../y"))
        elif change == 7 and path == "/":
            path = ""
        elif change == 8:
            path = path.replace("/", chance.choice(("/./", "/x/../")), 1)
        elif change == 9:
            path += chance.choice(("/.", "/..", "/x/..", "/./."))
        elif change == 10:
            name = f"%{ord(name[0]):02x}{name[1:]}"
        elif change == 11:
            path = path.replace("/", chance.choice(("//", "%2f", "%2F")), 1)
    separator = "" if port.startswith(":") or not port else ":"
    put(draft.claims, "htu", text(f"{scheme}://{name}{separator}{port}{path}"))


@mutant
def jti_of_another_length(draft, chance, world):
    put(draft.claims, "jti", text(chance.choice(("", " ", "x" * chance.choice((256, 257, 1024, 4000)), "\u00e9",
    "\u0000", "a\nb"))))


@mutant(times=2)
def a_few_jtis(draft, chance, world):
    """The same ones for several keys and ways."""
    put(draft.claims, "jti", text(f"jti-{chance.randrange(40)}"))


@mutant
def near_the_limit(draft, chance, world):
    """Each byte of padding moves the whole by one or two."""
    draft.claims.append(("padding", text("x" * chance.randrange(5200, 5900))))


@mutant
def another_signature(draft, chance, world):
    draft.on_signature = chance.choice((
        lambda was: b"", lambda was: was[:-1], lambda was: was + b"\0", lambda was: bytes(len(was)),
        lambda was: b"\xff" * len(was),
        lambda was: bytes([was[0] ^ 1]) + was[1:], lambda was: was[:-1] + bytes([was[-1] ^ 0x80]),
    ))


@mutant
def a_signature_in_der(draft, chance, world):
    if draft.sign_as == "ES256":
        draft.on_signature = lambda was: utils.encode_dss_signature(int.from_bytes(was[:32],
        "big"), int.from_bytes(was[32:], "big"))


@mutant
def a_signature_as_good(draft, chance, world):
    if draft.signer.algorithms == ("ES256",) and draft.signer.private.key_size == 256:
        draft.on_signature = other_signature


@mutant
def a_part_encoded_otherwise(draft, chance, world):
    place = chance.randrange(3)
    change = chance.choice((
        lambda part: part + "=" * (-len(part) % 4 or 1), lambda part: part + "A", lambda part: part[:-1],
        lambda part: part.replace("-", "+").replace("_", "/"), lambda part: part[:9] + "\t" + part[9:],
        lambda part: part[:9] + " " + part[9:],
        # the last character has bits that say nothing
        lambda part: part[:-1] + chr(ord(part[-1:] or "a") + 1), lambda part: "", lambda part: part[:9] + "%3D" + part[9:],
        lambda part: part + "\u00e9",
    ))
    draft.on_parts = lambda parts: [change(part) if number == place else part for number, part in enumerate(parts)]


@mutant
def another_number_of_parts(draft, chance, world):
    draft.on_parts = chance.choice((
        lambda parts: parts[:2], lambda parts: [*parts, parts[2]], lambda parts: [*parts, ""], lambda parts: ["", *parts],
        lambda parts: [parts[0], "", parts[1], parts[2]], lambda parts: [parts[1], parts[0], parts[2]], lambda parts: [""],
    ))


@mutant
def another_number_of_proofs(draft, chance, world):
    draft.on_values = chance.choice((
        lambda values: values * 2, lambda values: [], lambda values: [*values, ""], lambda values: ["", *values],
        lambda values: [", ".join(values * 2)],
        lambda values: [f"{values[0]},"], lambda values: [f'"{values[0]}"'], lambda values: [f"DPoP {values[0]}"],
        lambda values: [f"{values[0]} x"],
    ))
