"""The seconds of a run as a picture; also by itself: chart.py SERIES FILE."""

import json
import sys
from html import escape

from verdict import percentile

SANS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
PAPER, LINE, INK, QUIET, BLUE, RED, GREEN = "#f6f8fa", "#d0d7de", "#1f2328", "#59636e", "#0969da", "#bc4c00", "#1a7f37"
WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 880, 84, 850, 96, 76, 44


def draw(run):
    """A complete SVG file. It brings its own background, so it looks the same on a light page and a dark one."""
    size = run["cycle"]
    seconds = run["seconds"]
    cycles = [seconds[start:start + size] for start in range(0, len(seconds) - size + 1, size)]
    latency = [[t * 1000 for second in cycle for t in second["latency"]] for cycle in cycles]
    panels = [
        ("Requests a second", [
            ("right", BLUE, [mean(cycle, "crowd_asked") + mean(cycle, "probe_asked") for cycle in cycles]),
            ("hostile, on average over bursts and pauses", RED, [mean(cycle, "attackers_asked") for cycle in cycles])]),
        ("Time to a right answer, ms", [
            ("99 % within", RED, [percentile(times, 0.99) for times in latency]),
            ("half within", BLUE, [percentile(times, 0.5) for times in latency])]),
        ("Resident memory, MiB", [("", BLUE, [min(second["resident"] for second in cycle) / 2**20 for cycle in cycles])]),
        ("Open descriptors", [
            ("most in 10 s", QUIET, [max(second["descriptors"] for second in cycle) for cycle in cycles]),
            ("without a peer", BLUE, [min(second["stray"] for second in cycle) for cycle in cycles])]),
        ("Threads", [("", BLUE, [max(second["threads"] for second in cycle) for cycle in cycles])]),
        ("CPU of the server's core, %", [("", BLUE, [mean(cycle, "cpu") * 100 for cycle in cycles])]),
    ]
    height = TOP + len(panels) * (PANEL + GAP) + 16
    changes, counts = run["changes"], run["counts"]
    right = counts["crowd"]["asked"] + counts["probe"]["asked"]
    failed = counts["crowd"]["failures"] + counts["probe"]["failures"] + len(changes["failures"])
    title = f"{run['minutes']:g} minutes at 80 % of saturation"
    lines = [
        f"{right:,} right requests, {failed} failed. {counts['attackers']['asked']:,} hostile ones, "
        f"{counts['attackers']['failures']} not refused.",
        f"{changes['edits']} edits of the policies, {changes['rotations']} new keys. Each point is {size} seconds.",
    ]
    size_of_it = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size_of_it} role="img" font-family="{SANS}" font-size="13">',
        f"<title>{title}: requests, latency, memory, descriptors, threads and CPU of the server</title>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="{LINE}"/>',
        text(24, 30, title, INK, size=16, bold=True),
        *(text(24, 52 + 18 * number, line, QUIET) for number, line in enumerate(lines)),
    ]
    for number, (name, series) in enumerate(panels):
        parts += panel(TOP + GAP // 2 + number * (PANEL + GAP), name, series, len(cycles))
    bottom = TOP + GAP // 2 + (len(panels) - 1) * (PANEL + GAP) + PANEL
    for tenth in range(0, 7):
        minute = run["minutes"] * tenth / 6
        x = LEFT + (RIGHT - LEFT) * tenth / 6
        parts.append(text(x, bottom + 18, f"{minute:.3g} min", QUIET, anchor="middle" if tenth < 6 else "end", size=12))
    return "\n".join([*parts, "</svg>\n"])


def panel(top, name, series, count):
    most = ceiling(max(value for _, _, values in series for value in values))
    bottom = top + PANEL
    yield text(24, top - 12, name, INK, bold=True)
    x = LEFT + 190
    for label, colour, _ in series:
        if label:
            yield f'<line x1="{x}" y1="{top - 16}" x2="{x + 18}" y2="{top - 16}" stroke="{colour}" stroke-width="2"/>'
            yield text(x + 24, top - 12, label, QUIET, size=12)
            x += 48 + 7 * len(label)
    for part in (0, 0.5, 1):
        y = bottom - PANEL * part
        yield f'<line x1="{LEFT}" y1="{y:g}" x2="{RIGHT}" y2="{y:g}" stroke="{LINE}"/>'
        yield text(LEFT - 8, y + 4, f"{most * part:,.6g}", QUIET, anchor="end", size=12)
    for _, colour, values in series:
        points = " ".join(
            f"{LEFT + (RIGHT - LEFT) * (number + 0.5) / count:.1f},{bottom - PANEL * value / most:.1f}"
            for number, value in enumerate(values)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>'


def ceiling(value):
    """The next round number that has a round half."""
    power = 1
    while True:
        for step in (1, 2, 4, 6, 8):
            if value <= step * power:
                return step * power
        power *= 10


def mean(seconds, member):
    return sum(second[member] for second in seconds) / len(seconds)


def text(x, y, words, colour, anchor="start", size=13, bold=False):
    weight = ' font-weight="600"' if bold else ""
    look = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(words, quote=False)}</text>'


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("use: chart.py SERIES FILE")
    with open(sys.argv[1], encoding="utf-8") as series, open(sys.argv[2], "w", encoding="utf-8") as picture:
        picture.write(draw(json.load(series)))
