"""What must hold at the end of a run. Works on the seconds of the time in which the rate was held:

    {"seconds": [...], "cycle": 10, "burst": 6, ...}   as run.py writes it

A cycle has one burst of hostile requests and one edit. What is flat is compared between whole cycles.
"""

from dataclasses import dataclass
from statistics import median

# the time until caches are full is not looked at: this part of the cycles, one at least
WARM_UP = 0.1
# by how many bytes the memory may rise in all, by a robust line through the least of each cycle: one more thread that read
# the policies keeps about as much in its arena of the allocator. And in a run of some minutes, in which each of them comes
# for the first time
RISE, SHORT_RISE = 4 << 20, 8 << 20
# how much larger the time of a right request may be in the last quarter than in the second; and in a run of some minutes,
# of which a quarter has few reloads
SLOWER, SHORT_SLOWER = 1.5, 2.5
# and by how many seconds at least it must be: less than the scheduler of the machine does by itself
SLOWER_BY = 0.002
# from so many minutes on a run is a long one
LONG = 10
STRAY, THREADS = 2, 1
# of the probes, so many may be sent late: the generator has to share its core
LATE = 0.5
METRICS = 1.1
HELD = 0.97
SATURATED = 0.9
# next, active, and as many retired as `USED_FOR` and two rotations leave
MOST_KEYS = 8
ENDS_WITHIN = 12.0


@dataclass
class Finding:
    holds: bool
    what: str
    seen: str

    def __str__(self):
        return f"{'ok' if self.holds else 'FAILED'}: {self.what}: {self.seen}"


class Cycles:
    """The seconds of a run, by cycle."""

    def __init__(self, run):
        size, self.burst = run["cycle"], run["burst"]
        seconds = run["seconds"]
        self.size = size
        self.all = [seconds[start:start + size] for start in range(0, len(seconds) - size + 1, size)]
        self.warm = self.all[max(1, round(len(self.all) * WARM_UP)):]
        count = len(self.all)
        self.second = self.all[max(1, count // 4):max(count // 2, 2)]
        self.last = self.all[-max(2, count // 4):]

    def quiet(self, cycle):
        """The seconds in which no attacker is there any more."""
        return cycle[int(self.burst) + 2:]

    def least(self, cycles, member):
        """Of each cycle, the least of its quiet seconds."""
        return [min(second[member] for second in self.quiet(cycle)) for cycle in cycles]

    def pages(self, cycles):
        """The sizes of the page of metrics, in bytes."""
        return [second["metrics"] for cycle in cycles for second in cycle if "metrics" in second]

    def percentiles(self, cycles, part):
        return [percentile([seconds for second in cycle for seconds in second["latency"]], part) for cycle in cycles]


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def slope(values):
    """By Theil and Sen: the median of the slopes between all pairs; that of a step to the next one."""
    slopes = [(later - earlier) / (b - a) for a, earlier in enumerate(values) for b, later in enumerate(values) if b > a]
    return median(slopes) if slopes else 0.0


def judge(run):
    cycles, is_long = Cycles(run), run["minutes"] >= LONG
    counts, changes = run["counts"], run["changes"]
    failed = counts["crowd"]["failures"] + counts["probe"]["failures"] + len(changes["failures"])
    right = counts["crowd"]["asked"] + counts["probe"]["asked"]
    yield Finding(failed == 0 and right > 0, "no right request failed", f"{failed} of {right:,}")
    hostile = counts["attackers"]
    yield Finding(hostile["failures"] == 0 and hostile["asked"] > 0, "every hostile request was refused",
                  f"{hostile['failures']} of {hostile['asked']:,} were not")
    full = run["saturation"]
    yield Finding(full["wanted"] >= SATURATED, "the server was what limited saturation",
                  f"it had {full['cpu']:.0%} of its core, and wanted {full['wanted']:.0%}, "
                  f"at {full['asked']:,.0f} requests a second")
    held = sum(second["ended"] for second in run["seconds"]) / len(run["seconds"]) / run["rate"]
    yield Finding(held >= HELD, f"the rate of {run['rate']:,.0f} jobs a second was held", f"{held:.1%} of it")

    least = cycles.least(cycles.warm, "resident")
    rise = slope(least) * (len(least) - 1)
    most = RISE if is_long else SHORT_RISE
    first, last = (size / 2**20 for size in (least[0], least[-1]))
    yield Finding(rise <= most, f"memory rose by at most {most >> 20} MiB",
                  f"{rise / 2**20:+.2f} MiB over {len(least) * cycles.size} s, from {first:.1f} to {last:.1f} MiB")
    for member, more, what in [("stray", STRAY, "descriptors without a peer"), ("threads", THREADS, "threads")]:
        before, after = (median(cycles.least(part, member)) for part in (cycles.second, cycles.last))
        yield Finding(after <= before + more, f"{what} did not grow", f"{before:g}, then {after:g}")
    before, after = (median(cycles.pages(part)) for part in (cycles.second, cycles.last))
    yield Finding(after <= METRICS * before, "the page of metrics did not grow", f"{before:,.0f} bytes, then {after:,.0f}")
    for part, name in [(0.5, "half of"), (0.99, "99 % of")]:
        before, after = (median(cycles.percentiles(quarter, part)) for quarter in (cycles.second, cycles.last))
        bound = max(before * (SLOWER if is_long else SHORT_SLOWER), before + SLOWER_BY)
        yield Finding(0 < after <= bound, f"{name} the probes took no longer",
                      f"{before * 1000:.2f} ms, then {after * 1000:.2f} ms")

    late, judged = (sum(count(second) for second in run["seconds"]) for count in (
        lambda second: second["late"], lambda second: len(second["latency"])))
    yield Finding(late <= LATE * (late + judged), "the probe asked in time", f"{late:,} of {late + judged:,} late")

    wanted = len(cycles.all)
    yield Finding(changes["edits"] >= wanted - 1 and changes["rejected"] > 0, "policies were edited in each cycle",
                  f"{changes['edits']} edits, {changes['rejected']} of them broken at first")
    yield Finding(changes["rotations"] >= run["minutes"] and changes["most_keys"] <= MOST_KEYS, "a key was made each minute",
                  f"{changes['rotations']}; at most {changes['most_keys']} at once")
    metrics = run["metrics"]
    yield Finding(metrics["dropped"] == 0 == changes["dropped"] and changes["lines"] > 0, "the decision log lost nothing",
                  f"{changes['dropped']} of {changes['lines']:,} lines")
    log = run["log"]
    yield Finding(not log["bad"], "the log has no error but those that were wanted",
                  "; ".join(log["bad"][:3]) or f"{log['size'] / 2**20:,.0f} MiB, warnings: {log['warnings']}")
    code, took = run["end"]
    yield Finding(code == 0 and took < ENDS_WITHIN, "the server ended by itself", f"exit code {code} after {took:.1f} s")
