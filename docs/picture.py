#!/usr/bin/env python3
"""Draws what the demo prints as an SVG, as a terminal would show it. Standard library only.

    COLUMNS=100 foreshock demo --seed 1 | docs/picture.py > docs/demo.svg

Every line is the demo's own; lines are left out where "..." stands, so that the picture stays on one screen.
"""

import re
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP = 8.4, 18, 16, 44
COLOURS = {
    "PAGE": "#ff7b72", "signal": "#d2a8ff", "done": "#d2a8ff", "resolved": "#7ee787",
    "verified": "#7ee787", "change": "#79c0ff", "learnt": "#8b949e",
}
PLAIN, DIM, GOOD = "#c9d1d9", "#8b949e", "#7ee787"


def chosen(lines):
    """The story up to the first verified repair, and the table at the end."""
    end = next(i for i, line in enumerate(lines) if " verified " in line)
    table = next(i for i, line in enumerate(lines) if line.startswith("what was wrong"))
    return lines[: end + 1] + ["..."] + [""] + lines[table:]


def spans(line, before):
    """The line as (text, colour) pieces; a line that goes on has the colour of the one before."""
    if line.startswith(" " * 18):
        return [(line, before)]
    told = re.match(r"( *\d+:\d\d:\d\d )(\w+)( .*)?$", line)
    if told:
        time, word, rest = told.groups(default="")
        return [(time, DIM), (word, COLOURS.get(word, PLAIN)), (rest, PLAIN)]
    if line.rstrip().endswith(" yes") or line.startswith("  repair") or "judged rightly" in line:
        return [(line, GOOD)]
    return [(line, DIM if line.startswith((" " * 9, "...", "what was")) else PLAIN)]


def main():
    lines = [line.rstrip("\n") for line in sys.stdin]
    if not lines or "judged rightly" not in lines[-1]:
        sys.exit("picture.py: give it the whole output of `foreshock demo`")
    lines = ["$ cargo run --release -- demo"] + chosen(lines)
    columns = max(80, max(map(len, lines)))
    wide, high = round(2 * LEFT + columns * WIDTH), TOP + HEIGHT * len(lines) + 8
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" role="img">')
    print("<title>foreshock demo: a bad deploy is found, rolled back and verified; six of six judged rightly</title>")
    print(f'<rect width="{wide}" height="{high}" rx="8" fill="#0d1117"/>')
    for index, colour in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        print(f'<circle cx="{20 + 18 * index}" cy="18" r="5.5" fill="{colour}"/>')
    family = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    print(f'<g font-family="{family}" font-size="14" xml:space="preserve">')
    colour = PLAIN
    for row, line in enumerate(lines):
        column = 0
        for text, colour in spans(line, colour):
            stripped = text.lstrip(" ")
            column += len(text) - len(stripped)
            if stripped:
                x, y = LEFT + column * WIDTH, TOP + HEIGHT * row
                length = len(stripped) * WIDTH
                # The given length holds columns in line whatever font is there.
                print(
                    f'<text x="{x:.1f}" y="{y}" fill="{colour}" textLength="{length:.1f}"'
                    f' lengthAdjust="spacingAndGlyphs">{escape(stripped)}</text>'
                )
            column += len(stripped)
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
