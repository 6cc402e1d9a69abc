"""Percentiles, and tables that a reader and Markdown both take."""

import math


def percentile(ordered, share):
    """The least value that at least this share of the ordered values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def mean(values):
    return math.fsum(values) / len(values)


def duration(seconds):
    """With a unit in which the number is short."""
    for unit, length, below in [("us", 1e-6, 1e-3), ("ms", 1e-3, 1.0), ("s", 1.0, 600.0), ("min", 60.0, 7200.0)]:
        if abs(seconds) < below:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def size(count):
    for unit, length in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]:
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} B"


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(title, head, rows):
    """A Markdown table; the first column is text, the others are figures."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    line = lambda row: "| " + " | ".join(
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ) + " |"
    rule = "|" + "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":" for column, width in enumerate(widths)) + "|"
    return "\n".join([f"\n{title}\n", line(cells[0]), rule, *map(line, cells[1:])])
