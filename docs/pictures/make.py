#!/usr/bin/env python3
"""Makes the pictures of the documentation, in this folder.

    python3 docs/pictures/make.py            makes all of them again
    python3 docs/pictures/make.py --check    fails if one is not as the program and these scripts say
    ... --program FILE                       the program `jeton`; else the debug build of this tree

Pictures of a terminal show what the program really prints in the sample's folder, in its colours.
Those of the console are made by tests/console/pictures.mjs.
Nothing but Python is needed, and the same words give the same bytes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import terminal
from diagrams import DIAGRAMS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOO_OPEN = """          - scope: orders:read
            claims:
              tenant: { same_as_path: tenant }
"""


def run(program, folder, *arguments, colours=False):
    ours = ("JETON__", "NO_COLOR", "CLICOLOR")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"CLICOLOR_FORCE": "1"} if colours else {"NO_COLOR": "1"}
    done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    # 3 is an answer: no
    if done.returncode not in (0, 1, 3) or not done.stdout:
        sys.exit(f"error: `{' '.join(arguments)}` ended with {done.returncode}: {done.stderr}")
    return done.stdout


def printed(program):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "policies", folder / "policies")
        shutil.copy(ROOT / "jeton.toml", folder)

        explain = "policies explain --api orders --as acme-sync"
        screens = []
        for request in ("GET /tenants/acme/orders", "GET /tenants/globex/orders"):
            output = run(program, folder, *f"{explain} {request}".split(), colours=True)
            screens.append((f"jeton {explain} {request}", output))
        yield "explain", terminal.picture("jeton policies explain says why a request is allowed or denied", screens, 104)

        # somebody takes the condition on the tenant out
        file = folder / "policies/orders.yaml"
        text = file.read_text()
        if text.count(TOO_OPEN) != 1:
            sys.exit("error: policies/orders.yaml does not have the lines that the picture `check` takes out")
        file.write_text(text.replace(TOO_OPEN, TOO_OPEN.splitlines(keepends=True)[0]))
        findings = run(program, folder, "policies", "check", colours=True).split("\n\n")
        broken = [finding for finding in findings if "[broken-guarantee]" in finding]
        if len(broken) != 1:
            sys.exit("error: `policies check` does not say `broken-guarantee` once")
        yield "check", terminal.picture("jeton policies check finds a rule that breaks a guarantee", [("jeton policies check", broken[0])], 104)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a picture is out of date")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--program", type=Path, default=target / "debug/jeton", help="the program `jeton`")
    arguments = parser.parse_args()
    if not arguments.program.is_file():
        sys.exit(f"error: there is no {arguments.program}: run `cargo build`, or name one by --program")

    pictures = {name: diagram().svg() for name, diagram in DIAGRAMS.items()}
    pictures |= dict(printed(arguments.program.resolve()))
    stale = []
    for name, svg in sorted(pictures.items()):
        file = HERE / f"{name}.svg"
        if not file.exists() or file.read_text() != svg:
            stale.append(f"docs/pictures/{file.name}")
            if not arguments.check:
                file.write_text(svg)
    if arguments.check and stale:
        sys.exit(f"error: out of date: {', '.join(stale)}: run `python3 docs/pictures/make.py`")
    print(f"{len(pictures)} pictures, {'made again: ' + ', '.join(stale) if stale else 'all up to date'}")


main()
