#!/usr/bin/env python3
"""What lies in deploy/, judged by the programs that take it; and what they cannot see: that each alert is documented and
tested, that metrics and labels are there, that objects fit each other, and that the program starts with them.

    deploy_check.py PROGRAM
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from live import Program, answers, free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# what systemd calls the exposure of a service, times ten
EXPOSURE = 20
# the Kubernetes versions whose schemas the manifests must fit: an old one that is still in use, and a new one
KUBERNETES = ("1.28", "1.37")
# of each series that is scraped
TARGET = {"job", "instance"}


def fail(message):
    sys.exit(f"error: {message}")


def ok(message):
    print(f"ok: {message}", flush=True)


def run(*command, cwd=ROOT):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def metrics():
    """The labels of each series, by its name, as docs/reference/metrics.md has them."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    found = {"up": set()}
    for name, kind, labels in re.findall(r"^\| `(jeton_\w+)` \| (\w+) \| (.*?) \|", page, re.M):
        labels = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name] = labels
    found |= {name: set() for name in re.findall(r"`(process_\w+)`", page)}
    return found


METRICS = metrics()


def check_names(where, expression):
    """Each metric is there, and has the labels that the expression asks for."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = re.findall(r"\b(?:jeton_\w+|process_\w+|up)\b", bare)
    if not names:
        fail(f"{where}: `{expression}` names no metric")
    labels = set(TARGET)
    for name in names:
        if name not in METRICS:
            fail(f"{where}: there is no metric `{name}`")
        labels |= METRICS[name]
    for name, selector in re.findall(r"(\w+)\{([^}]*)\}", bare):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            if label not in TARGET | METRICS[name]:
                fail(f"{where}: `{name}` has no label `{label}`")
    for group in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare):
        for label in filter(None, re.split(r"[,\s]+", group)):
            if label not in labels:
                fail(f"{where}: no metric of `{expression}` has the label `{label}`")


def alerts():
    folder = DEPLOY / "prometheus"
    run("promtool", "check", "rules", "alerts.yaml", cwd=folder)
    run("promtool", "check", "config", "prometheus.yml", cwd=folder)
    run("promtool", "test", "rules", "alerts_test.yaml", cwd=folder)
    rules = [rule for group in yaml.safe_load((folder / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    tests = yaml.safe_load((folder / "alerts_test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    page = (ROOT / "docs/alerts.md").read_text()
    rows = dict(re.findall(r"^\| \[(\w+)\]\(#\w+\) \| (\w+) \|", page, re.M))
    used = set()
    for rule in rules:
        name, severity, notes = rule["alert"], rule["labels"]["severity"], rule["annotations"]
        check_names(name, rule["expr"])
        if not any(case["alertname"] == name and case["exp_alerts"] for case in cases):
            fail(f"no test sees {name} fire")
        if set(notes) != {"summary", "description", "runbook_url"}:
            fail(f"{name} has the annotations {', '.join(notes)}")
        if rows.get(name) != severity:
            fail(f"docs/alerts.md says `{rows.get(name)}` for {name}, and the rule `{severity}`")
        path, _, anchor = notes["runbook_url"].partition("#")
        section = re.search(rf"^## (?i:({anchor}))$(.*?)(?=^## |\Z)", page, re.M | re.S)
        if path != "docs/alerts.md" or not section:
            fail(f"{name}: {notes['runbook_url']} leads nowhere")
        used.add(section[1])
        for part in ("**It means**", "```console", "**Mend it", "**It "):
            if part not in section[2]:
                fail(f"docs/alerts.md: {section[1]} does not say `{part}`")
    for name in (set(rows) | set(re.findall(r"^## (Jeton\w+)$", page, re.M))) - {rule["alert"] for rule in rules}:
        fail(f"docs/alerts.md has {name}, and there is no such alert")
    ok(f"{len(rules)} alerts are good rules, tested, and documented in {len(used)} sections")


def dashboard():
    board = json.loads((DEPLOY / "grafana/jeton.json").read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]}
    questions, places, ids = [], set(), set()
    for panel in board["panels"]:
        title = panel["title"]
        if panel["id"] in ids:
            fail(f"jeton.json: `{title}` has the id of another panel")
        ids.add(panel["id"])
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if x >= 24 or (x, y) in places:
                    fail(f"jeton.json: `{title}` lies over another panel, or beside the page")
                places.add((x, y))
        if panel["type"] != "row" and not panel["targets"]:
            fail(f"jeton.json: `{title}` asks nothing")
        questions += [(title, target["expr"]) for target in panel.get("targets", [])]
    questions += [(note["name"], note["expr"]) for note in board["annotations"]["list"]]
    for variable in board["templating"]["list"]:
        if match := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            questions.append((variable["name"], f"count by ({match[2]}) ({match[1]})"))
    rules = []
    for number, (title, expression) in enumerate(questions):
        for variable in re.findall(r"\$(?!__)(\w+)", expression):
            if variable not in variables:
                fail(f"jeton.json: `{title}` asks with the variable `{variable}`, which is not there")
        check_names(f"jeton.json: {title}", expression)
        rules.append({"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")})
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "rules.json"
        # JSON is YAML
        file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
        run("promtool", "check", "rules", file)
    asked = {name for _, expression in questions for name in re.findall(r"\bjeton_\w+", expression)}
    missing = {name for name in METRICS if name.startswith("jeton_") and not name.endswith("_sum")} - asked
    if missing:
        fail(f"jeton.json does not show {', '.join(sorted(missing))}")
    ok(f"the dashboard's {len(questions)} questions are good, and show every metric")


def unit():
    source = DEPLOY / "systemd/jeton.service"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / source.name
        # the program is not installed here
        file.write_text(source.read_text().replace("ExecStart=/usr/bin/jeton", "ExecStart=/bin/true"))
        told = run("systemd-analyze", "verify", "--man=no", file).strip()
        if told:
            fail(f"systemd-analyze verify: {told}")
        told = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", file)
    ok(f"jeton.service: exposure {re.search(r'Overall exposure level for .*: ([0-9.]+)', told)[1]}")


def manifests(program):
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    objects = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    for version in KUBERNETES:
        told = run("kubernetes-validate", "--strict", "--kubernetes-version", version, *files)
        if told.count(" passed for resource ") != len(objects):
            fail(f"kubernetes-validate did not see every object:\n{told}")
    [workload] = [each for each in objects if each["kind"] == "Deployment"]
    pod = workload["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    [container] = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    for each in objects:
        spec = each.get("spec", {})
        chosen = {
            "Deployment": lambda: spec["selector"]["matchLabels"],
            "Service": lambda: spec["selector"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(each["kind"], dict)()
        if not chosen.items() <= labels:
            fail(f"{each['kind']} does not choose the pods of the Deployment")
    named = {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    named |= {port["targetPort"] for each in objects if each["kind"] == "Service" for port in each["spec"]["ports"]}
    if not named <= ports:
        fail(f"the pods have no port {named - ports}")
    there = {(each["kind"], each["metadata"]["name"]) for each in objects}
    for volume in pod["spec"]["volumes"]:
        source = ("ConfigMap", volume["configMap"]["name"]) if "configMap" in volume else ("Secret", volume["secret"]["secretName"])
        if source not in there:
            fail(f"there is no {source[0]} `{source[1]}`")
    [secret] = [each for each in objects if each["kind"] == "Secret"]
    if secret.get("data") or secret.get("stringData"):
        fail("the Secret of the example holds something")
    ok(f"{len(objects)} objects fit Kubernetes {' and '.join(KUBERNETES)}")
    starts(program, container, {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "ConfigMap"})


def starts(program, container, configuration):
    """The program is ready with the arguments and files of the pods, and the environment of the image."""
    image = dict(re.findall(r"(JETON__\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for name, files in configuration.items():
            (place / name).mkdir()
            for file, text in files.items():
                (place / name / file).write_text(text)
        main, admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        own = {"SERVER__LISTEN": main, "ADMIN__LISTEN": admin, "KEYS__DIR": place / "keys", "POLICIES__DIR": place / "jeton-policies"}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("JETON__")}
        environment = clean | image | {f"JETON__{name}": str(value) for name, value in own.items()}
        settings = {"/etc/jeton/jeton.toml": str(place / "jeton-settings/jeton.toml")}
        command = [program, *(settings.get(word, word) for word in container["args"])]
        told = subprocess.run([*command[:-1], "keys", "generate"], env=environment, capture_output=True, text=True, check=False)
        if told.returncode:
            fail(f"jeton keys generate: {told.stderr}")
        probes = [container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")]
        server = Program(command, place / "log", lambda: all(answers(f"http://{admin}{path}") for path in probes), env=environment)
        server.stop()
    ok("the program starts as the pods start it, and answers their probes")


def materials():
    """The bill of materials has what cargo links into the program, each with version, checksum and licence."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in ("sbom.json", "again.json")]
        for file in files:
            run("deploy/sbom.sh", file)
        text, again = (file.read_text() for file in files)
    if text != again:
        fail("the bill of materials has other bytes the second time")
    bill = json.loads(text)
    listed = {(part["name"], part["version"]): part for part in [*bill["components"], bill["metadata"]["component"]]}
    tree = run("cargo", "tree", "--locked", "--package", "jeton", "--edges", "normal", "--prefix", "none",
               "--target", "x86_64-unknown-linux-gnu", "--format", "{p}")
    linked = {(name, version) for name, version in re.findall(r"^(\S+) v(\S+)", tree, re.M)}
    if missing := linked - listed.keys():
        fail(f"the bill of materials does not have {sorted(missing)}")
    for (name, _), part in listed.items():
        if not part.get("licenses") or not (part.get("hashes") or name.startswith("jeton")):
            fail(f"the bill of materials has no licence or checksum for {name}")
    ok(f"the bill of materials has the {len(linked)} crates of the program, and {len(listed) - len(linked)} beside")


alerts()
dashboard()
unit()
manifests(sys.argv[1])
materials()
