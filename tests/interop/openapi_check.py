#!/usr/bin/env python3
"""Imports the descriptions of real APIs, and asks the policies that come of it about each operation.

    openapi_check.py PROGRAM        the jeton program

GitHub's is the document of @octokit/openapi. Kubernetes and Stripe ship none: theirs are made of what their clients
call, and hold the paths, methods, names and security of each operation. Google's style is our own
(examples/openapi/library.json).

Each is imported in each way. `policies check` must pass, the schema of policy files must take it, and each operation
must be decided, at a path of its own, by a rule that asks what the document says; without a token it must be denied.
"""

import ast
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

from live import checks

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
WAYS = ("tag", "operation", "security")
# what no route says: Git has names with dots, so this is more than one parameter
OF_GITHUB = ["GET /repos/{owner}/{repo}/compare/{base}...{head}"]
OF_GOOGLE = ["GET /v1/{+resource}:getIamPolicy"]
# two functions for one request
TWICE_IN_KUBERNETES = ["GET /apis/{group}/{version}/{resource_plural}"]


def source(package):
    """The folder of a package, which is read and not run."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


def document(title, server, operations, security, schemes):
    """A document of (method, path, tag, name, more); what two functions call is one operation."""
    paths = {}
    for method, path, tag, name, more in operations:
        paths.setdefault(path, {}).setdefault(method, {"tags": [tag], "operationId": name} | more)
    return {
        "openapi": "3.1.0", "info": {"title": title, "version": "1"}, "servers": [{"url": server}],
        "security": security, "paths": paths, "components": {"securitySchemes": schemes},
    }


def github():
    return json.loads((HERE / "node_modules/@octokit/openapi/generated/api.github.com.json").read_text())


def kubernetes():
    """Each operation has a function that puts its request together."""
    operations = []
    for file in sorted(source("kubernetes").glob("client/api/*_api.py")):
        for block in re.split(r"\n    def (?=_\w+_serialize\()", file.read_text())[1:]:
            name = re.match(r"_(\w+)_serialize", block)[1]
            method, path = re.search(r"\n +method='([A-Z]+)',\n +resource_path='([^']+)',", block).groups()
            security = re.search(r"_auth_settings: List\[str\] = \[([^]]*)\]", block)[1]
            schemes = re.findall(r"'(\w+)'", security)
            more = {"security": [{scheme: [] for scheme in schemes}]}
            tag = file.stem.removesuffix("_api")
            operations.append((method.lower(), path, tag, f"{tag}.{name}", more))
    schemes = {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}}
    return document("Kubernetes", "https://kubernetes.example.com", operations, [], schemes)


def stripe():
    """Each service sends its requests by `self._request(method, path, base_address=...)`."""
    folder, operations = source("stripe"), []
    for file in sorted(folder.rglob("_*_service.py")):
        for function in ast.walk(ast.parse(file.read_text())):
            for call in ast.walk(function) if isinstance(function, ast.FunctionDef) else ():
                if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "self._request"):
                    continue
                method, path = call.args[:2]
                # a template, and the values in it
                path = path.func.value if isinstance(path, ast.Call) else path
                tag = "-".join([*file.relative_to(folder).parts[:-1], file.stem.strip("_").removesuffix("_service")])
                address = next(ast.literal_eval(word.value) for word in call.keywords if word.arg == "base_address")
                elsewhere = {"servers": [{"url": f"https://{address}.stripe.com"}]} if address != "api" else {}
                path = ast.literal_eval(path)
                name = f"{tag}.{function.name}"
                operations.append((ast.literal_eval(method), path, tag, name, elsewhere))
    schemes = {"basicAuth": {"type": "http", "scheme": "basic"}, "bearerAuth": {"type": "http", "scheme": "bearer"}}
    return document("Stripe", "https://api.stripe.com/", operations, [{name: []} for name in schemes], schemes)


def google():
    return json.loads((ROOT / "examples/openapi/library.json").read_text())


# the documents, how many operations each has, which of them no route says, and which the route of another decides
APIS = {
    "github": (github, 1223, OF_GITHUB, []),
    "kubernetes": (kubernetes, 999, [], TWICE_IN_KUBERNETES),
    "stripe": (stripe, 647, [], []),
    "library": (google, 15, OF_GOOGLE, []),
}


def asked(api, described, operation, way):
    """What the rule of an operation must ask, as it stands under `require`: computed here once more."""
    if way != "security":
        return {"scope": f"{api}:{operation['tags'][0] if way == 'tag' else operation['operationId']}"}
    required = operation.get("security", described.get("security"))
    if required is None:
        return {"scope": f"{api}:unsaid"}
    asks = [{"scope": f"{api}:{scheme}"} for one in required for scheme in one]
    return asks[0] if len(asks) == 1 else asks


def jeton(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        failed = re.findall(r"^(?:FAIL|error|\S+: error).*", done.stdout + done.stderr, re.M)
        sys.exit("\n".join([f"error: jeton {' '.join(map(str, arguments))}: exit code {done.returncode}", *failed[:20]]))
    return done


def expect(what, seen, expected):
    if seen != expected:
        sys.exit(f"error: {what}:\n{seen}\nand not\n{expected}")


def check(program, api, way, folder, described, left_out, twice):
    operations = {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items() for method, operation in item.items() if method in METHODS
    }
    imported = jeton(
        program, "policies", "import", folder / "api.json", "--api", api, "--audience", f"https://{api}.example.com",
        "--scope-from", way,
    )
    expect(f"{api} by {way}: not covered", re.findall(r"^not covered: (.*?): ", imported.stderr, re.M), left_out)
    covered = re.findall(r"^covered by another: (.*?): ", imported.stderr, re.M)
    expect(f"{api} by {way}: covered by another", covered, twice)
    policies = folder / "policies"
    policies.mkdir(exist_ok=True)
    (policies / "api.yaml").write_text(imported.stdout)
    (folder / f"{way}.yaml").write_text(imported.stdout)
    (policies / "tests.yaml").unlink(missing_ok=True)
    jeton(program, "policies", "check", policies)

    # by what a rule asks: the requests that it must decide
    requests = {}
    for title, operation in operations.items():
        if title not in left_out + twice:
            numbers = itertools.count()
            request = re.sub(r"\{[^}]*\}", lambda _: f"some-{next(numbers)}", title)
            requests.setdefault(json.dumps(asked(api, described, operation, way)), []).append(request)
    tests = [{"as": {}, "api": api, "deny": [request for of_rule in requests.values() for request in of_rule]}]
    for asks, of_rule in requests.items():
        one = json.loads(asks)
        bearer = one[0] if isinstance(one, list) else one
        tests.append({"as": {"scopes": [bearer["scope"]]}, "api": api, "allow": of_rule})
    (policies / "tests.yaml").write_text(json.dumps({"version": 1, "tests": tests}))
    rules = YAML(typ="safe").load(imported.stdout)["apis"][api]["rules"]
    lines = re.findall(
        r"^pass  allow (\S+ \S+) by .* at \S+: allowed by rule (\S+) \(",
        jeton(program, "policies", "test", policies).stdout, re.M,
    )
    decided = {request: rules[rule]["require"] for request, rule in lines}
    for asks, of_rule in requests.items():
        for request in of_rule:
            expect(f"{api} by {way}: {request} asks", decided[request], json.loads(asks))
    return f"{api} by {way}: {len(operations)} operations, {len(decided)} decided by {len(rules)} rules as described"


def main():
    program = str(Path(sys.argv[1]).resolve())
    began = time.monotonic()
    for api, (describe, count, left_out, twice) in APIS.items():
        described = describe()
        with tempfile.TemporaryDirectory(prefix="jeton-openapi-") as folder:
            folder = Path(folder)
            (folder / "api.json").write_text(json.dumps(described))
            for way in WAYS:
                seen = check(program, api, way, folder, described, left_out, twice)
                checks.holds(seen, f" {count} operations, {count - len(left_out + twice)} decided" in seen)
            files = [folder / f"{way}.yaml" for way in WAYS]
            schema = ["check-jsonschema", "--schemafile", ROOT / "policies/policy.schema.json", *files]
            checks.holds(f"{api}: the schema takes each", subprocess.run(schema, stdout=subprocess.DEVNULL).returncode == 0)
    print(f"{checks.count} checks hold, in {time.monotonic() - began:.0f} s")


main()
