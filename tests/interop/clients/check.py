#!/usr/bin/env python3
"""Has programs that nobody here wrote get, use and check tokens of live servers, and be refused.

    check.py PROGRAM [PART]...      the jeton program, and which of the parts below; without any, all

Each part has a server of its own, with a copy of the policies beside this file. A part that fails does not keep the
others from running. Absent programs and packages are failures.
"""

import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from live import checks, free_port, place_of

# how long one part may take, in seconds
LIMIT = 120
# Debian's packages of Go stand there, and nothing is fetched
GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOPROXY": "off", "GOFLAGS": ""}


def tools_at(place):
    """Where the MCP server will be: the audience of its tokens says so."""
    address = f"http://127.0.0.1:{free_port()}/mcp"
    place.edit("clients.yaml", "http://127.0.0.1:1/mcp", address)
    # the assertions of the SDKs are good for five minutes
    return place.serve(JETON__TOKENS__MAX_ASSERTION_TTL="5m"), address


def python(name, *arguments):
    importlib.import_module(name).run(*arguments)


def command(*words, **more):
    if (done := subprocess.run(words, stdin=subprocess.DEVNULL, **more)).returncode != 0:
        sys.exit(f"error: {words[0]}: exit code {done.returncode}")


def mcp_sdk(place):
    base, address = tools_at(place)
    command("node", HERE / "mcp_sdk.mjs", base, place.folder, address)


def go(place):
    program = place.folder / "oidc"
    cache = {"GOCACHE": str(place.folder / "go-cache")}
    command("go", "build", "-o", program, HERE / "oidc.go", env=os.environ | GO | cache)
    command(program, place.serve())


def node_dpop(place):
    for nonces in ("off", "required"):
        command("node", HERE / "dpop.mjs", place.serve(JETON__TOKENS__DPOP_NONCE=nonces), nonces)


PARTS = {
    "python-dpop": lambda place: python("dpop", place),
    "node-dpop": node_dpop,
    "certificates": lambda place: python("certificates", place),
    "python-libraries": lambda place: python("libraries", place),
    "python-mcp": lambda place: python("mcp_sdk", place, *tools_at(place)),
    "node-mcp": mcp_sdk,
    "node-openid-client": lambda place: command("node", HERE / "openid_client.mjs", place.serve(), place.folder),
    "node-express": lambda place: command("node", HERE / "express.mjs", place.serve()),
    "go": go,
    "java": lambda place: command("java", HERE / "Tokens.java", place.serve()),
    "prometheus": lambda place: python("prometheus", place),
    "rabbitmq": lambda place: python("rabbitmq", place),
}


def run(name, program):
    def too_long(*_):
        raise TimeoutError(f"{name} takes more than {LIMIT} s")

    signal.signal(signal.SIGALRM, too_long)
    with place_of(name, program, HERE / "policies") as place:
        signal.alarm(LIMIT)
        try:
            PARTS[name](place)
        finally:
            signal.alarm(0)


def main():
    program, failed = str(Path(sys.argv[1]).resolve()), []
    for name in sys.argv[2:] or PARTS:
        print(f"--- {name}", flush=True)
        began = time.monotonic()
        try:
            run(name, program)
        except SystemExit as failure:
            print(failure, file=sys.stderr, flush=True)
            failed.append(name)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print(f"--- {name}: {'failed' if name in failed else 'ok'} in {time.monotonic() - began:.0f} s", flush=True)
    if failed:
        sys.exit(f"error: these parts failed: {', '.join(failed)}")
    print(f"{checks.count} checks by Python hold, besides those by the other programs")


main()
