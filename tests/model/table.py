#!/usr/bin/env python3
"""Decides every case of tests/fixtures/decisions/cases.json by the model, and compares each member of the answers. Of
those that show possession it compares whether they pass, the status, the rule and who it is: the model has no words for
the rest.

    table.py [FILE]      FILE is another table beside the same policies

Prints each difference, and returns 1 if there is one. Needs `cryptography` and `ruamel.yaml` of
tests/interop/requirements.txt. The tokens of the table are signed by EdDSA; the model also takes one that is signed by
each other algorithm.
"""

import base64
import json
import re
import sys
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from decide import BadToken, Json, decide, read_policies
from possession import NotShown, Request, Seen, check

TABLE = Path(__file__).resolve().parents[1] / "fixtures" / "decisions" / "cases.json"
NOW = int(datetime.fromisoformat("2026-12-01T12:00:00Z").timestamp())


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def other_algorithms(table: Json, policies: Json) -> int:
    """How often a token by another algorithm is taken where it must not be, or refused where it must be taken."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    point_key = ec.generate_private_key(ec.SECP256R1())
    public, point = rsa_key.public_key().public_numbers(), point_key.public_key().public_numbers()
    modulus = {"kty": "RSA", "n": base64url(number(public.n)), "e": base64url(number(public.e))}
    x, y = (base64url(value.to_bytes(32, "big")) for value in (point.x, point.y))
    place = {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def by_point(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(point_key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    signers = {
        "RS256": (modulus, lambda data: rsa_key.sign(data, padding.PKCS1v15(), SHA256())),
        "PS256": (modulus, lambda data: rsa_key.sign(data, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())),
        "ES256": (place, by_point),
    }
    wrong = 0
    for algorithm, (key, sign) in signers.items():
        for said in signers:
            header = base64url(json.dumps({"typ": "at+jwt", "alg": said, "kid": "k"}).encode())
            signed = f"{header}.{table['tokens']['reader'].split('.')[1]}"
            token = f"{signed}.{base64url(sign(signed.encode()))}"
            for key_says in ({}, {"alg": algorithm}, {"alg": "RS512"}):
                got = decide(policies, table["api"], table["issuer"], [{"kid": "k", **key, **key_says}], NOW, "GET",
                             "/tenants/acme/orders", [f"Bearer {token}"])
                if got["allowed"] != (said == algorithm and key_says.get("alg") != "RS512"):
                    wrong += 1
                    print(f"signed by {algorithm}, the header says {said}, the key {key_says}: {got['reason']} by the model")
    return wrong


def of_possession(table: Json, policies: Json) -> int:
    """How many answers differ where tokens are bound. In the order of the table, and each case twice."""
    seen: dict[tuple[str, str | None], Seen] = {}
    differences = 0

    def ask(case: Json) -> Json:
        api, origin = case.get("api", table["api"]), case.get("origin", table["origin"])
        certificate = base64.b64decode(table["certificates"][case["certificate"]]) if "certificate" in case else None
        target, used = filled(table, case["target"]), seen.setdefault((api, origin), {})

        def check_holder(scheme: str, token: str, claims: Json) -> None:
            request = Request(case["method"], target, scheme, token, case.get("dpop", []), certificate)
            bound_alone = policies["apis"][api].get("bound_tokens", False)
            try:
                if origin is None and scheme == "dpop":
                    raise NotShown("no origin")
                used.update(check(request, claims, origin or "", table["now"], used, bound_alone))
            except NotShown as why:
                raise BadToken(str(why)) from None

        authorization = [filled(table, value) for value in case["authorization"]]
        return decide(policies, api, table["issuer"], table["jwks"]["keys"], table["now"], case["method"], target,
                      authorization, check_holder)

    for case in table["possession"]:
        for time, expected in (("first", case["expected"]), ("second", case.get("again", case["expected"]))):
            got = ask(case)
            for member in ("allowed", "status", "rule", "principal"):
                if json.dumps(got[member], sort_keys=True) != json.dumps(expected[member], sort_keys=True):
                    differences += 1
                    print(f"{case['name']}, the {time} time: {member} is {expected[member]} in the table, and {got[member]} "
                          f"by the model ({got['challenge']})")
    return differences


def filled(table: Json, text: str) -> str:
    return re.sub(r"\{([a-z-]+)\}", lambda name: table["tokens"][name[1]], text)


def main() -> int:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else TABLE
    table: Json = json.loads(file.read_text(encoding="utf-8"))
    policies = read_policies(TABLE.parent / table["policies"])

    differences = other_algorithms(table, policies) + of_possession(table, policies)
    for case in table["cases"]:
        answer = decide(policies, table["api"], table["issuer"], table["jwks"]["keys"], NOW, case["method"],
                        filled(table, case["target"]), [filled(table, value) for value in case["authorization"]])
        for member in sorted(case["expected"].keys() | answer.keys()):
            # as JSON, because 1 and true are the same to Python
            table_has, model_has = (json.dumps(one.get(member, "absent"), sort_keys=True) for one in (case["expected"], answer))
            if table_has != model_has:
                differences += 1
                print(f"{case['name']}: {member} is {table_has} in the table, and {model_has} by the model")
    if not table["cases"] or not table["possession"]:
        sys.exit(f"error: no cases in {file}")
    if differences:
        print(f"error: {differences} differences between the model and {file}")
        return 1
    print(f"model: {len(table['cases'] + table['possession'])} cases, as the table has them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
