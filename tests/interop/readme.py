#!/usr/bin/env python3
"""Does what README.md and then each guide in docs/ says, each in a clean copy of the tree, as a new user would;
with names of documents as arguments, what these say.

A copy is a Git repository of one commit. Every ```sh block is run, in order, in one shell. A ```text block right
after one is its standard output, in which `…` stands for anything (alone on a line: for any lines). A comment
before a block says more:

    <!-- ci: in the background, until URL answers -->   a server, which runs until the end
    <!-- ci: a step of its own -->                      .ci/run does it elsewhere, in these words
    <!-- ci: file NAME -->                              the block is written to this file, which is new
    <!-- ci: file NAME, in the place of what is there -->   the block is written to this file, which is not
    <!-- ci: edit NAME -->                              the ```diff block is an edit of this file
    <!-- ci: lines of FILE -->                          each line of the block stands in this file
    <!-- ci: packages of FILE -->                       .ci/run installs what stands in this file, and so these

Before that, the reference is held against the sources: finding codes, reasons, settings, demo secrets, links.
"""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md", "docs/tour.md", "docs/policies.md", "docs/running.md", "docs/clients.md", "docs/operators.md",
    "docs/openapi.md", "docs/trying.md", "docs/managing-clients.md", "docs/revoking.md", "docs/rotating-keys.md",
    "docs/federation/README.md", "docs/console.md", "docs/production.md", "docs/tls.md", "docs/services.md",
    "docs/checking-revocation.md", "docs/python.md", "docs/node.md", "docs/languages.md", "docs/gateways.md",
    "docs/authzen.md", "docs/any-language.md", "docs/possession.md",
]
# built from this tree, beside what a file pins
OWN_PACKAGES = ["jeton-authz", "./jeton-0.1.0.tgz"]
# whoever commits in a copy, with no settings of this machine
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Reader"), ("EMAIL", "reader@example.com"))
}
# a first start may have to build
START_TIMEOUT = 900
# so may a block
BLOCK_TIMEOUT = 900
MARK = "block-of-readme-ended"


class Failed(Exception):
    pass


class Block:
    def __init__(self, document, line, language, text, directive):
        self.where, self.line = f"{document}:{line}", line
        self.language, self.text, self.directive = language, text, directive


def blocks(document):
    directive, found = None, []
    lines = iter(enumerate((ROOT / document).read_text().splitlines(), 1))
    for number, line in lines:
        if match := re.fullmatch(r"<!-- ci: (.*) -->", line):
            directive = match[1]
        elif match := re.fullmatch(r"```(\S*)", line):
            body = []
            for _, inner in lines:
                if inner == "```":
                    break
                body.append(inner)
            found.append(Block(document, number, match[1], "\n".join(body) + "\n", directive))
            directive = None
        elif line.strip() and directive:
            raise Failed(f"{document}:{number}: the comment `{directive}` stands before no block")
    return found


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


class Server:
    def __init__(self, block, url, copy, logs):
        if answers(url):
            raise Failed(f"{block.where}: something else answers at {url} already")
        self.log = Path(logs) / f"server-of-line-{block.line}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=copy, env=os.environ | GIT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not answers(url):
            if self.process.poll() is not None:
                raise Failed(f"{block.where}: the server ended:\n{self.log.read_text()}")
            if time.monotonic() > deadline:
                self.stop()
                raise Failed(f"{block.where}: {url} does not answer:\n{self.log.read_text()}")
            time.sleep(0.2)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise Failed(f"a server did not end on SIGTERM:\n{self.log.read_text()}") from None


class Shell:
    """One bash, in which variables and functions last from block to block."""

    def __init__(self, copy, logs):
        self.logs = Path(logs)
        self.errors = (self.logs / "shell.err").open("w+b")
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail"], cwd=copy, env=os.environ | GIT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
        )

    def run(self, block):
        script = self.logs / f"block-of-line-{block.line}.sh"
        script.write_text(block.text)
        self.process.stdin.write(f"source {script} </dev/null; printf '\\n{MARK}\\n'\n")
        self.process.stdin.flush()
        output = []
        watchdog = threading.Timer(BLOCK_TIMEOUT, os.killpg, (self.process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            for line in self.process.stdout:
                if line.rstrip("\n") == MARK:
                    return "".join(output)
                output.append(line)
        finally:
            watchdog.cancel()
        self.process.wait()
        self.errors.seek(0)
        errors = self.errors.read().decode(errors="replace")
        raise Failed(f"{block.where}: exit code {self.process.returncode}\n{block.text}\n"
                     f"--- standard output\n{''.join(output)}\n--- standard error\n{errors[-4000:]}")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def tidy(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def matches(documented, output):
    pattern = re.escape(tidy(documented))
    pattern = re.sub(r"(?m)^…$", lambda _: r"(?s:.*)", pattern.replace(r"\…", "…").replace("\\\n", "\n"))
    pattern = pattern.replace("…", r"[^\n]*")
    return re.fullmatch(pattern, tidy(output)) is not None


def files_of_tree(*patterns):
    """Every file that is, or would be, in the repository."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return sorted({name for name in names.split("\0") if name and (ROOT / name).exists()})


def copy_of_tree(into):
    """All of these; with their times, so that cargo builds nothing again."""
    names = "\0".join(files_of_tree()).encode()
    packed = subprocess.run(
        ["tar", "--null", "-T", "-", "-c"], cwd=ROOT, input=names, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", into], input=packed, check=True)
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "-m", "Start"]):
        subprocess.run(["git", *command], cwd=into, env=os.environ | GIT, check=True)


def edit(block, target):
    """Puts the lines of a ```diff block that begin with ` ` and `+` in the place of those with ` ` and `-`."""
    lines = block.text.splitlines()
    if block.language != "diff" or not all(line[:1] in ("", " ", "-", "+") for line in lines):
        raise Failed(f"{block.where}: this is no edit: each line begins with a space, `-` or `+`")
    before, after = ("".join(line[1:] + "\n" for line in lines if line[:1] in ("", " ", sign)) for sign in "-+")
    text = target.read_text()
    if text.count(before) != 1:
        raise Failed(f"{block.where}: these lines stand {text.count(before)} times in {target.name}:\n{before}")
    target.write_text(text.replace(before, after))


def packages(block, file, copy):
    """What `pip install`, `npm install` and `npm ci` of the block install is there already, in pinned versions."""
    known = (("pip", "install", ".txt"), ("npm", "install", ".json"), ("npm", "ci", ".json"))
    for command in block.text.splitlines():
        program, verb, *names = shlex.split(command)
        if (program, verb, file.suffix) not in known:
            raise Failed(f"{block.where}: `{command}` installs nothing of {file.name}")
        for name in (name for name in names if not name.startswith("--") and name not in OWN_PACKAGES):
            pinned = f'"{name}": "' if file.suffix == ".json" else f"\n{name}=="
            if pinned not in file.read_text():
                raise Failed(f"{block.where}: {file.name} does not pin `{name}`")
    if file.suffix == ".json":
        (Path(copy) / "node_modules").symlink_to(file.parent / "node_modules")


def run_blocks(document, copy, logs):
    ran = compared = 0
    servers, shell, last = [], Shell(copy, logs), None
    try:
        for block in blocks(document):
            directive, where = block.directive, block.where
            previous, last = last, None
            if directive and (match := re.fullmatch(r"in the background, until (\S+) answers", directive)):
                servers.append(Server(block, match[1], copy, logs))
            elif directive == "a step of its own":
                for command in block.text.splitlines():
                    if command not in (ROOT / ".ci/run").read_text():
                        raise Failed(f"{where}: .ci/run does not run `{command}`")
                continue
            elif directive and (match := re.fullmatch(r"file ([^\s,]+)(, in the place of what is there)?", directive)):
                target = Path(copy) / match[1]
                if target.exists() != bool(match[2]):
                    raise Failed(f"{where}: {match[1]} is {'not there' if match[2] else 'there already'}")
                target.write_text(block.text)
                continue
            elif directive and (match := re.fullmatch(r"edit (\S+)", directive)):
                edit(block, Path(copy) / match[1])
                continue
            elif directive and (match := re.fullmatch(r"lines of (\S+)", directive)):
                lines = {line.strip() for line in (ROOT / match[1]).read_text().splitlines()}
                for line in block.text.splitlines():
                    if line.strip() not in lines | {""}:
                        raise Failed(f"{where}: `{line.strip()}` does not stand in {match[1]}")
                continue
            elif directive and (match := re.fullmatch(r"packages of (\S+)", directive)):
                packages(block, ROOT / match[1], copy)
                continue
            elif directive:
                raise Failed(f"{where}: `{directive}` is not understood")
            elif block.language == "sh":
                last = shell.run(block)
            elif block.language == "text" and previous is not None:
                if not matches(block.text, previous):
                    raise Failed(f"{where}: documented:\n{block.text}\nprinted:\n{previous}")
                compared += 1
                continue
            else:
                continue
            ran += 1
            print(f"ok: {where}: {block.text.splitlines()[0]}", flush=True)
    finally:
        # the shell has ended by itself if a block failed
        for part in [shell, *servers]:
            part.stop()
    if not ran or not compared:
        raise Failed(f"{document} holds no commands, or no outputs")
    print(f"{document}: {ran} blocks ran, {compared} outputs are as documented")


def anchors(document):
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def check_reference():
    def page(name):
        return (ROOT / "docs/reference" / name).read_text()

    def need(what, name, document):
        if f"`{name}`" not in page(document):
            raise Failed(f"docs/reference/{document} does not name the {what} `{name}`")

    enum = re.search(r"pub enum FindingCode \{(.*?)\n\}", (ROOT / "crates/policy/src/finding.rs").read_text(), re.S)
    codes = {re.sub(r"(?<!^)([A-Z])", r"-\1", code).lower() for code in re.findall(r"^    ([A-Z]\w*),", enum[1], re.M)}
    heads = re.findall(r"^\| (`.*?`) \|", page("findings.md"), re.M)
    documented = re.findall(r"`([^`]+)`", " ".join(heads))
    for code in codes.symmetric_difference(documented):
        where = "docs/reference/findings.md" if code in codes else "crates/policy/src/finding.rs"
        raise Failed(f"{where} does not have the finding code `{code}`")
    if len(documented) != len(codes):
        raise Failed("docs/reference/findings.md has a finding code twice")

    decision = (ROOT / "crates/policy/src/decision.rs").read_text()
    spelled = re.search(r"pub fn reason\(&self\).*?\n    \}", decision, re.S)[0]
    spelled += (ROOT / "crates/verify/src/audit/reasons.rs").read_text()
    reasons = re.findall(r'(?:=>|str =) "([a-z-]+)"', spelled)
    for reason in reasons:
        need("reason", reason, "decision-log.md" if reason in ("met", "public") else "log.md")

    def named(table, before=""):
        for key, value in table.items():
            if isinstance(value, dict):
                yield from named(value, f"{before}{key}.")
            else:
                yield before + key

    settings = list(named(tomllib.loads((ROOT / "jeton.toml").read_text())))
    for name in settings:
        need("setting", name, "settings.md")

    secrets = set(re.findall(r"demo-secret-of-[a-z]+-?[a-z]+", (ROOT / "README.md").read_text()))
    clients = (ROOT / "policies/clients.yaml").read_text()
    if len(secrets) != len(re.findall("sha256:", clients)):
        raise Failed("README.md names another number of demo secrets than policies/clients.yaml")
    for secret in secrets:
        if hashlib.sha256(secret.encode()).hexdigest() not in clients:
            raise Failed(f"policies/clients.yaml does not hold the hash of `{secret}`")

    links = 0
    for document in map(ROOT.joinpath, files_of_tree("*.md")):
        text = document.read_text()
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = document.parent / name if name else document
            if not file.exists() or anchor and anchor not in anchors(file):
                raise Failed(f"{document.relative_to(ROOT)}: the link `{target}` leads nowhere")
            links += 1
    index = (ROOT / "docs/README.md").read_text()
    for page in files_of_tree("docs/*.md"):
        name = page.removeprefix("docs/")
        if name != "README.md" and not re.search(rf"\]\({re.escape(name)}[#)]", index):
            raise Failed(f"docs/README.md does not lead to {page}")
        if "\n```sh\n" in (ROOT / page).read_text() and page not in DOCUMENTS:
            raise Failed(f"{page} has commands, and no step runs them: name it in tests/interop/readme.py")
    print(f"{len(codes)} finding codes, {len(settings)} settings, {len(secrets)} demo secrets, {links} links hold")


def main():
    check_reference()
    with tempfile.TemporaryDirectory(prefix="jeton-readme-") as folder:
        # in one place one after the other, so that cargo builds the second copy as little as the first
        place = Path(folder) / "place"
        for document in sys.argv[1:] or DOCUMENTS:
            copy, logs = place / "jeton", place / "logs"
            copy.mkdir(parents=True)
            logs.mkdir()
            copy_of_tree(copy)
            run_blocks(document, copy, logs)
            shutil.rmtree(place)


try:
    main()
except Failed as failure:
    sys.exit(f"error: {failure}")
