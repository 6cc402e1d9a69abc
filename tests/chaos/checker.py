"""Judges a history alone: `python3 tests/chaos/checker.py HISTORY.jsonl`. Each rule yields what is wrong, and the lines that
show it."""

import json
import sys

import check_answers
import check_keys
import check_once
import check_policies
import check_revoked
from disturbed import Disturbed
from history import History


def check(history):
    """All that is wrong: for each, the rule, what is wrong in words, and the lines of the history that show it."""
    disturbed = Disturbed(history)
    floors = check_policies.Floors(history, disturbed)
    rules = {
        "once": check_once.once(history, disturbed),
        "refresh": check_once.refresh(history, disturbed),
        "keys": check_keys.keys(history, disturbed),
        "offline": check_keys.offline(history, disturbed),
        "revoked": check_revoked.by_store(history, disturbed),
        "revoked-files": check_revoked.by_files(history, disturbed, floors),
        "revoked-lists": check_revoked.by_lists(history, disturbed, floors),
        "policies": check_policies.mixtures(history, disturbed, floors),
        "statuses": check_answers.statuses(history, disturbed),
        "denials": check_answers.denials(history, disturbed),
        "unanswered": check_answers.unanswered(history, disturbed),
        "certificates": check_answers.certificates(history, disturbed),
        "died": check_answers.died(history, disturbed),
        "recovery": check_answers.recovery(history, disturbed),
    }
    return [(rule, words, lines) for rule, found in rules.items() for words, lines in found]


def report(found, limit=8):
    """In words, with the lines that show it."""
    lines = []
    for rule, words, shown in found[:limit]:
        lines.append(f"{rule}: {words}")
        lines += [f"    {json.dumps(line)[:600]}" for line in shown if line]
    if len(found) > limit:
        lines.append(f"… and {len(found) - limit} more")
    return "\n".join(lines)


def main():
    if len(sys.argv) != 2:
        print("usage: checker.py HISTORY.jsonl", file=sys.stderr)
        return 2
    found = check(History.read(sys.argv[1]))
    print(report(found, 40) or "nothing is wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
