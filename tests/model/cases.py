"""Cases: how they are judged, made smaller, and shown."""

import copy
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from decide import BadToken, Json

# how long a case is made smaller, in seconds
PATIENCE = 60
# judges a case: the program, the case, a folder for its files, and what is counted
Compare = Callable[[Path, Json, Path, Counter[str]], None]


class Difference(Exception):
    """The model and the program say different things. `kind` stays the same while the case is made smaller."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


class TooLarge(Exception):
    """There are too many tokens to ask them all."""


def difference_of(compare: Compare, program: Path, case: Json, tally: Counter[str]) -> Difference | None:
    with tempfile.TemporaryDirectory(prefix="jeton-model-") as place:
        try:
            compare(program, case, Path(place) / "case", tally)
        except Difference as difference:
            return difference
        except TooLarge:
            tally["too large"] += 1
    return None


def smaller(compare: Compare, program: Path, case: Json, kind: str) -> Json:
    """A case with the same kind of difference, of which no part can be left out, or as small as it got in time."""
    end, found = time.monotonic() + PATIENCE, True
    while found:
        found = False
        for candidate in without_one(case):
            if time.monotonic() > end:
                return case
            if differs_so(compare, program, candidate, kind):
                case, found = candidate, True
                break
    return case


def differs_so(compare: Compare, program: Path, case: Json, kind: str) -> bool:
    try:
        difference = difference_of(compare, program, case, Counter())
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, BadToken):  # a name that nothing defines any more
        return False
    return difference is not None and difference.kind == kind


def without_one(value: Any) -> Iterator[Any]:
    """What is left without one part. The large parts come first."""
    if isinstance(value, list) and len(value) > 3:
        for start in (0, len(value) // 2):
            yield value[:start] + value[start + len(value) // 2 :]
    if isinstance(value, dict | list):
        places = list(value) if isinstance(value, dict) else range(len(value))
        for place in places:
            rest = copy.copy(value)
            del rest[place]
            yield rest
        for place in places:
            for part in without_one(value[place]):
                rest = copy.copy(value)
                rest[place] = part
                yield rest


def keep(compare: Compare, program: Path, case: Json, folder: Path) -> None:
    """The files of a case, to look at."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "case.json").write_text(json.dumps(case, indent=2))
    try:
        compare(program, case, folder / "case", Counter())
    except Difference:
        return
