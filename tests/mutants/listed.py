"""The mutants that cargo-mutants names: where each stands, and what it says instead."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# which files are mutated, by the name under which they are asked for
PACKAGES = {
    "oauth": ("jeton-oauth", []),
    "jose": ("jeton-jose", []),
    "policy": ("jeton-policy", []),
    "verify": ("jeton-verify", []),
    "grant": ("jeton", ["src/grant/**", "src/authenticate/**", "src/introspect.rs", "src/revoke.rs"]),
}


@dataclass(frozen=True)
class Mutant:
    number: int
    package: str
    file: str
    genre: str
    name: str
    # lines and columns from 1, of characters; the end is behind the last
    start: tuple[int, int]
    end: tuple[int, int]
    replacement: str
    # of the function around it; "" if there is none
    returns: str

    @property
    def title(self):
        """Its name without line and column, which every edit above it moves."""
        return f"{self.file}: {self.name.split(':', 3)[3].strip()}"


def all_mutants():
    """The mutants of all packages, numbered from 1: whichever are asked for, a number is that of one mutant."""
    found = []
    for package, (crate, files) in PACKAGES.items():
        command = ["cargo", "mutants", "--list", "--json", "--package", crate]
        for file in files:
            command += ["--file", file]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if listed.returncode != 0:
            print(f"error: {' '.join(command)}\n{listed.stderr}", file=sys.stderr)
            sys.exit(2)
        found += [(package, each) for each in json.loads(listed.stdout)]
    return [
        Mutant(
            number, package, each["file"], each["genre"], each["name"],
            (each["span"]["start"]["line"], each["span"]["start"]["column"]),
            (each["span"]["end"]["line"], each["span"]["end"]["column"]),
            each["replacement"], (each["function"] or {}).get("return_type", ""),
        )
        for number, (package, each) in enumerate(found, 1)
    ]
