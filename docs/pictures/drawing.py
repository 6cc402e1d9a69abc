"""A few shapes as SVG: boxes, words, arrows. Every picture brings its own background, so it reads on any page."""

from html import escape

SANS = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
PAPER, LINE, INK, QUIET = "#ffffff", "#d0d7de", "#1f2328", "#59636e"
# fill and line
COLOURS = {
    "blue": ("#ddf4ff", "#0969da"), "green": ("#dafbe1", "#1a7f37"), "amber": ("#fff8c5", "#9a6700"),
    "red": ("#ffebe9", "#cf222e"), "purple": ("#fbefff", "#8250df"), "grey": ("#f6f8fa", "#59636e"),
    "white": ("#ffffff", "#59636e"),
}


class Drawing:
    def __init__(self, width, height, title):
        self.width, self.height, self.title = width, height, title
        self.parts = []

    def text(self, x, y, words, size=14, colour=INK, anchor="start", bold=False, mono=False):
        weight = ' font-weight="600"' if bold else ""
        family = f' font-family="{MONO}"' if mono else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}{family}>'
            f"{escape(words, quote=False)}</text>"
        )

    def rectangle(self, x, y, width, height, colour, radius=8, dashed=False):
        fill, line = COLOURS[colour]
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}" fill="{fill}" '
            f'stroke="{line}" stroke-width="1.5"{dash}/>'
        )

    def box(self, x, y, width, height, head, lines=(), colour="grey", mono=False, size=16):
        """A box with a bold head and small lines below, in the middle of it."""
        self.rectangle(x, y, width, height, colour)
        middle = x + width / 2
        top = y + height / 2 - 9 * len(lines) + size / 3
        self.text(middle, top, head, size=size, anchor="middle", bold=True, mono=mono)
        for number, line in enumerate(lines, 1):
            self.text(middle, top + 18 * number + 2, line, size=13, colour=QUIET, anchor="middle")

    def line(self, points, colour=QUIET, dashed=False, arrow=True, width=1.75):
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        head = ' marker-end="url(#head)"' if arrow else ""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}{head}/>')

    def svg(self):
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" role="img" font-family="{SANS}">',
            f"<title>{escape(self.title)}</title>",
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="{QUIET}"/></marker></defs>',
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="10" fill="{PAPER}" stroke="{LINE}"/>',
            *self.parts,
            "</svg>\n",
        ])
