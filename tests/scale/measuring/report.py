"""What the model says and what was measured, with their ratio."""

from simulator.figures import duration, number, size, table

SHOWN = {"time": duration, "bytes": size, "rate": number, "count": number, "share": "{:.1%}".format}


class Report:
    """The rows. One fails whose ratio is outside its bounds, which are wider where the reason is known."""

    def __init__(self):
        self.rows, self.failed = [], []

    def row(self, what, kind, model, measured, within=1.5, why=""):
        ratio = measured / model if model else float("inf")
        fits = 1 / within <= ratio <= within
        show = SHOWN[kind]
        self.rows.append([what, show(model), show(measured), f"{ratio:.2f}", why])
        if not fits:
            self.failed.append(f"{what}: model {show(model)}, measured {show(measured)}: a ratio of {ratio:.2f}, within {within} expected")
        print(f"  {what}: model {show(model)}, measured {show(measured)}, ratio {ratio:.2f}", flush=True)

    def holds(self, what, holds, seen):
        if not holds:
            self.failed.append(f"{what}: {seen}")
        print(f"  {'ok' if holds else 'NOT'}: {what}: {seen}", flush=True)

    def note(self, what, kind, measured):
        """What has no model, and feeds costs.toml."""
        self.rows.append([what, "", SHOWN[kind](measured), "", ""])
        print(f"  {what}: {SHOWN[kind](measured)}", flush=True)

    def show(self):
        print(table("The model and what was measured", ["", "model", "measured", "ratio", "why"], self.rows))
