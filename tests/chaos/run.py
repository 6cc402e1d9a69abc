"""Three replicas under faults: `python3 tests/chaos/run.py PROGRAM`. README.md beside this says what is done and checked."""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
PROGRAMS = ["redis-server", "nginx", "ip", "iptables", "unshare", "nsenter"]
ALGORITHMS = ["RS256", "ES256", "EdDSA"]


def need_all(program):
    """What is absent is an error: a world without it would show nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    if not FAKETIME.exists():
        absent.append("libfaketime")
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "namespaces and disks of its own need root"
    return None if os.access(program, os.X_OK) else f"{program} cannot be run"


def first_keys(program, folder):
    """One key for each algorithm, which every world copies."""
    for algorithm in ALGORITHMS:
        environment = os.environ | {"JETON__KEYS__DIR": str(folder / algorithm), "JETON__KEYS__ALGORITHM": algorithm}
        subprocess.run([program, "keys", "generate"], env=environment, cwd=folder, check=True, capture_output=True)


def one_run(program, keys, folder, seed, seconds):
    """A world in namespaces of its own. All that it started ends with it. What went wrong with the world itself, if anything."""
    folder.mkdir()
    command = [
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        sys.executable, str(HERE / "world.py"), str(program), str(folder), str(keys), str(seed), str(seconds),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90)
    except subprocess.TimeoutExpired as late:
        return f"the world did not end: {(late.stderr or b'').decode()[-2000:]}"
    return None if done.returncode == 0 else done.stdout + done.stderr[-6000:]
