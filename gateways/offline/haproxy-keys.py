#!/usr/bin/env python3
"""Writes jeton's public keys so that HAProxy can verify tokens by them, and reloads HAProxy if they changed.

    haproxy-keys.py http://127.0.0.1:8080/.well-known/jwks.json --out keys [--reload haproxy.pid]
    jeton keys jwks | haproxy-keys.py - --out keys

Writes below --out: KID.pem for each RSA key; keys.map, the file of each key id; and keys.cfg, which makes HAProxy load the
files when it starts (`-f haproxy.cfg -f keys/keys.cfg`). Without a usable key, or without an answer, all stays as it is
and the exit code is 1. Needs Python 3.9 and nothing else.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import signal
import sys
import textwrap
import urllib.request


def der(tag, content):
    """One value of ASN.1 DER."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def integer(value):
    # one more bit than the number has, so that it never reads as a negative one
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


RSA_ENCRYPTION = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010101")) + der(0x05, b""))


def public_pem(n, e):
    """An RSA public key as a PEM file (SubjectPublicKeyInfo)."""
    key = der(0x30, integer(n) + integer(e))
    info = der(0x30, RSA_ENCRYPTION + der(0x03, b"\0" + key))
    lines = "\n".join(textwrap.wrap(base64.b64encode(info).decode(), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def read(source):
    if source == "-":
        return sys.stdin.read()
    if source.startswith(("http://", "https://")):
        with urllib.request.urlopen(source, timeout=10) as answer:
            return answer.read(1 << 20).decode()
    return pathlib.Path(source).read_text()


def usable(jwks):
    """The PEM of each key that may verify RS256, by its id."""
    keys = {}
    for key in jwks["keys"]:
        if key.get("kty") != "RSA" or key.get("alg", "RS256") != "RS256" or key.get("use", "sig") != "sig":
            print(f"passed over {key.get('kid')}: HAProxy verifies by RS256 keys here", file=sys.stderr)
            continue
        # it becomes the name of a file
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", key["kid"]):
            raise ValueError(f"the key id {key['kid']!r} is not base64url")
        n = number(key["n"])
        if n.bit_length() < 2048:
            raise ValueError(f"the key {key['kid']} has only {n.bit_length()} bits")
        keys[key["kid"]] = public_pem(n, number(key["e"]))
    if not keys:
        raise ValueError("there is no usable key")
    return keys


def write(path, text):
    """Writes a file as a whole, or not at all. Says whether it is another than before."""
    if path.exists() and path.read_text() == text:
        return False
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)
    return True


def main():
    parser = argparse.ArgumentParser(description="Writes jeton's public keys for HAProxy.")
    parser.add_argument("jwks", help="address or file of the keys, or - for standard input")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="the folder to write to")
    parser.add_argument("--reload", type=pathlib.Path, metavar="PIDFILE", help="the file that `haproxy -W -p` wrote")
    given = parser.parse_args()
    try:
        keys = usable(json.loads(read(given.jwks)))
        out = given.out.resolve()
        out.mkdir(parents=True, exist_ok=True)
        files = {kid: out / f"{kid}.pem" for kid in keys}
        # the files first, then what names them
        changed = [write(files[kid], pem) for kid, pem in keys.items()]
        changed.append(write(out / "keys.map", "".join(f"{kid} {file}\n" for kid, file in files.items())))
        loads = "".join(f'    http-request deny if {{ str(),jwt_verify("RS256","{file}") -m int 1 }}\n' for file in files.values())
        changed.append(write(out / "keys.cfg", "# Never used: it makes HAProxy load the keys.\nbackend jeton-keys\n    mode http\n" + loads))
        for old in set(out.glob("*.pem")) - set(files.values()):
            old.unlink()
        if any(changed) and given.reload:
            pid = int(given.reload.read_text())
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() != "haproxy":
                raise ValueError(f"process {pid} of {given.reload} is not haproxy")
            os.kill(pid, signal.SIGUSR2)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(keys)} keys, {'changed' if any(changed) else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
