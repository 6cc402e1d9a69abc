"""The measured costs that everything is computed from."""

import tomllib
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "costs.toml"


class Costs:
    """Each figure of the file by its name, which must be there with its source."""

    def __init__(self, entries):
        self._entries = entries
        for name, entry in entries.items():
            if set(entry) != {"value", "from"} or not entry["value"] > 0 or not entry["from"].strip():
                raise ValueError(f"{FILE.name}: `{name}` needs a `value` above zero and its source in `from`")

    @classmethod
    def read(cls, **instead):
        """The file's; `instead` replaces figures by others that were measured at the same time as what they are compared with."""
        entries = tomllib.loads(FILE.read_text())
        for name, value in instead.items():
            entries[name] = {"value": value, "from": "measured in this run"}
        return cls(entries)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self._entries[name]["value"]
