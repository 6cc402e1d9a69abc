"""What a program printed, as a picture of a terminal."""

import re
from html import escape

from drawing import MONO

FACE, BACK, EDGE = "#e6edf3", "#0d1117", "#30363d"
ANSI = {"31": "#ff7b72", "32": "#56d364", "33": "#e3b341", "34": "#79c0ff", "35": "#d2a8ff", "36": "#76e3ea"}
# a glyph of most fixed fonts is 0.6 of their size wide; `textLength` holds the others to it
SIZE, STEP, HIGH = 13, 7.8, 19


class Style:
    def __init__(self, colour=FACE, bold=False, dim=False):
        self.colour, self.bold, self.dim = colour, bold, dim


def styled(text):
    """The characters of a text with escape sequences, each with its style."""
    style, cells = Style(), []
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if not part.startswith("\x1b["):
            cells += [(character, style) for character in part]
            continue
        for code in part[2:-1].split(";"):
            if code in ("", "0"):
                style = Style()
            elif code == "1":
                style = Style(style.colour, True, style.dim)
            elif code == "2":
                style = Style(style.colour, style.bold, True)
            else:
                style = Style(ANSI[code], style.bold, style.dim)
    return cells


def picture(title, screens, columns):
    """`screens` are a command and what it printed, one below the other."""
    lines = []
    for number, (command, output) in enumerate(screens):
        lines += [[]] if number else []
        lines.append([("$", Style(ANSI["32"])), (" ", Style()), *((c, Style(bold=True)) for c in command)])
        for line in output.rstrip("\n").split("\n"):
            cells = styled(line)
            # as a terminal does, but with what was there before the first word repeated
            shown = "".join(character for character, _ in cells)
            indent = len(shown) - len(shown.lstrip(" |"))
            while len(cells) > columns:
                at = max((i for i in range(columns // 2, columns) if cells[i][0] == " "), default=columns)
                lines.append(cells[:at])
                cells = [(" ", Style())] * (min(indent, 8) + 4) + cells[at + 1:]
            lines.append(cells)
    width, height = round(columns * STEP) + 40, len(lines) * HIGH + 62
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="{MONO}" font-size="{SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="{BACK}" stroke="{EDGE}"/>',
        *(f'<circle cx="{22 + 18 * n}" cy="20" r="5.5" fill="{c}"/>' for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))),
    ]
    for row, cells in enumerate(lines):
        y = 52 + row * HIGH
        start = 0
        while start < len(cells):
            character, style = cells[start]
            end = start + 1
            while end < len(cells) and cells[end][1] is style and cells[end][0] != " ":
                end += 1
            words = "".join(character for character, _ in cells[start:end])
            if words.strip():
                # single words, so that no renderer takes spaces away
                offset = len(words) - len(words.lstrip())
                words = words.strip()
                weight = ' font-weight="700"' if style.bold else ""
                faint = ' opacity="0.65"' if style.dim else ""
                parts.append(
                    f'<text x="{20 + (start + offset) * STEP:.1f}" y="{y}" fill="{style.colour}"{weight}{faint} '
                    f'textLength="{len(words) * STEP:.1f}" lengthAdjust="spacingAndGlyphs">{escape(words, quote=False)}</text>'
                )
            start = end
    return "\n".join([*parts, "</svg>\n"])
