"""The tree with every mutant in it, built once."""

import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from listed import PACKAGES, ROOT
from switched import marked, switched

TARGET = ROOT / "target" / "mutants"
TREE = TARGET / "tree"
# the switches stand in the crate that all others know
SWITCH = "crates/oauth/src/mutant_switch.rs"
HEAD_OF_SWITCHES = "crates/oauth/src/lib.rs"
SWITCHES = '''//! Which mutant this process is, by the environment.
use std::{env, fs::OpenOptions, io::Write, sync::LazyLock, sync::atomic::{AtomicBool, Ordering}};

static CHOSEN: LazyLock<u32> =
    LazyLock::new(|| env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0));
static REACHED_FILE: LazyLock<Option<String>> = LazyLock::new(|| env::var("MUTANTS_REACHED").ok());
static REACHED: [AtomicBool; 10_000] = [const { AtomicBool::new(false) }; 10_000];

/// Whether this process is this mutant. Notes that it was asked, if the environment names a file for that.
pub fn on(number: u32) -> bool {
    if let Some(file) = &*REACHED_FILE
        && let Some(reached) = REACHED.get(number as usize)
        && !reached.swap(true, Ordering::Relaxed)
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(file)
    {
        // in one piece, for other threads write too
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
    *CHOSEN == number
}
'''


def copy_tree(mutated):
    """The files that Git knows or would take, as they are now, but for those with mutants."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    for name in listed.stdout.split("\0"):
        if not name or name in mutated:
            continue
        if (ROOT / name).is_symlink():
            # some lead nowhere on purpose
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            (TREE / name).unlink(missing_ok=True)
            (TREE / name).symlink_to(os.readlink(ROOT / name))
        elif (ROOT / name).is_file():
            put(TREE / name, (ROOT / name).read_bytes())
            shutil.copymode(ROOT / name, TREE / name)
    if not (TREE / ".git").exists():
        # some tests ask Git which files there are
        subprocess.run("git init -q && git add -A", shell=True, cwd=TREE, check=True)


def put(file, content):
    """Writes a file that is not so yet: the compiler looks at times."""
    if not file.is_file() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


class Build:
    """The tree with all mutants of some packages that can be switched."""

    def __init__(self, mutants):
        self.mutants = mutants
        self.by_file = defaultdict(list)
        for mutant in mutants:
            self.by_file[mutant.file].append(mutant)
        self.kept = TARGET / "not-switched.json"
        known = set(json.loads(self.kept.read_text())) if self.kept.exists() else set()
        self.out = {mutant for mutant in mutants if mutant.name in known}
        TARGET.mkdir(parents=True, exist_ok=True)
        copy_tree({*self.by_file, HEAD_OF_SWITCHES})
        put(TREE / SWITCH, SWITCHES.encode())

    def write(self):
        for file, mutants in self.by_file.items():
            on = "crate" if file.startswith("crates/oauth/") else "jeton_oauth"
            wanted = [mutant for mutant in mutants if mutant not in self.out]
            text, left_out = switched((ROOT / file).read_text(), wanted, f"{on}::mutant_switch::on")
            self.out.update(left_out)
            put(TREE / file, text.encode())
        head = (ROOT / HEAD_OF_SWITCHES).read_text()
        put(TREE / HEAD_OF_SWITCHES, head.replace("\nmod ", "\npub mod mutant_switch;\nmod ", 1).encode())

    def cargo(self, *arguments):
        environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
        command = ["cargo", *arguments, "--locked", "--message-format=json"]
        done = subprocess.run(command, cwd=TREE, env=environment, capture_output=True, text=True)
        return done, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def crates(self):
        return [f"--package={PACKAGES[package][0]}" for package in {mutant.package for mutant in self.mutants}]

    def leave_out_what_does_not_compile(self):
        """Builds until there is no error; each round leaves out the mutants that the errors are about."""
        while True:
            self.write()
            done, messages = self.cargo("check", "--lib", *self.crates())
            if done.returncode == 0:
                break
            at_fault = self.at_fault(messages)
            if not at_fault:
                sys.exit(f"error: the tree with mutants does not compile:\n{done.stderr[-4000:]}")
            print(f"{len(at_fault)} mutants do not compile behind a switch", flush=True)
            self.out.update(at_fault)
            self.kept.write_text(json.dumps(sorted(mutant.name for mutant in self.out), indent=0))

    def at_fault(self, messages):
        by_number = {mutant.number: mutant for mutant in self.mutants}
        found = set()
        for message in messages:
            fault = message.get("message") or {}
            if message.get("reason") != "compiler-message" or fault.get("level") != "error":
                continue
            for span in fault["spans"]:
                if not span["is_primary"] or span["file_name"] not in self.by_file:
                    continue
                content = (TREE / span["file_name"]).read_bytes()
                start, end = (len(content[: span[side]].decode()) for side in ("byte_start", "byte_end"))
                found |= marked(content.decode(), start, end)
        return {by_number[number] for number in found} - self.out

    def programs(self, crate, *targets):
        """The test programs of a crate, built: their paths, and the folder that they run in."""
        done, messages = self.cargo("test", "--no-run", f"--package={crate}", *targets)
        if done.returncode != 0:
            sys.exit(f"error: the tests of {crate} do not compile:\n{done.stderr[-4000:]}")
        return [
            (Path(message["executable"]), Path(message["manifest_path"]).parent)
            for message in messages
            if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message.get("executable")
        ]
