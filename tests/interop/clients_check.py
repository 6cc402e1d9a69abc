#!/usr/bin/env python3
"""Has clients that nobody here wrote fetch, exchange, refresh, check and revoke tokens of live servers.

    clients_check.py PROGRAM [PART]...      the jeton program, and which of the parts below; without any, all

Authlib and PyJWT in Python; oauth4webapi and jose in Node; a reader of status lists of its own; and two servers
that share a redis-server. Absent programs and packages are failures.
"""

import subprocess
import sys
from pathlib import Path

import authlib_check
import replicas_check
import status_check
from live import HERE, checks, place_of


def node(place, base):
    script = ["node", HERE / "node_check.mjs", base, place.folder]
    if (done := subprocess.run(script)).returncode != 0:
        sys.exit(f"error: node_check.mjs: exit code {done.returncode}")


PARTS = {
    "authlib": lambda place: authlib_check.run(place, place.serve()),
    "node": lambda place: node(place, place.serve()),
    "status-list": lambda place: status_check.run(place, place.serve()),
    "replicas": replicas_check.run,
    "node-with-store": lambda place: node(place, place.serve(store=place.redis())),
}


def main():
    program = str(Path(sys.argv[1]).resolve())
    for name in sys.argv[2:] or PARTS:
        part = PARTS[name]
        print(f"--- {name}", flush=True)
        with place_of("clients", program) as place:
            part(place)
    print(f"{checks.count} checks by Python hold, besides those by Node")


main()
