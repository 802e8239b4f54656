"""The picture of the architecture: which folder of the program imports which, as an SVG.

Imports are read from the sources with `ast`, nothing is imported. An arrow that follows from two
others (A imports B, B imports C, A imports C) is left out.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

PACKAGES = ("rlavr_hpc", "analysis")
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 108, 30, 14, 44, 12
STYLE = """
.box{fill:#eef3fb;stroke:#4a6fa5;rx:5}.top{fill:#fdf1e3;stroke:#b9772f}
text{font:13px sans-serif;fill:#1c2a3a;text-anchor:middle;dominant-baseline:central}
path{fill:none;stroke:#8397b0;stroke-width:1;opacity:.75}
rect.paper{fill:#fff}
"""


def write_picture(root: Path, out: Path) -> None:
    """Write the SVG of the imports below `root` to `out`."""
    out.write_text(picture(imports(root)), encoding="utf-8")


def imports(root: Path) -> dict[str, set[str]]:
    """Room -> rooms it imports; a room is a folder or module right below a package."""
    found: dict[str, set[str]] = defaultdict(set)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            here = room_of(".".join(parts))
            if here is None:
                continue
            found[here] |= set()
            for name in _imported(ast.parse(path.read_text(encoding="utf-8"))):
                there = room_of(name)
                if there not in (None, here):
                    found[here].add(str(there))
    return {room: {one for one in uses if one in found} for room, uses in found.items()}


def room_of(module: str) -> str | None:
    """`rlavr_hpc.runs.find` -> `runs`; None for what is not ours or is the package itself."""
    parts = module.split(".")
    if parts[0] == "analysis":
        return "analysis"
    if parts[0] != "rlavr_hpc" or len(parts) < 2 or parts[1] == "__init__":
        return None
    return parts[1]


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def levels(uses: Mapping[str, set[str]]) -> dict[str, int]:
    """0 for rooms that import none of ours, else one more than the highest they import."""
    known: dict[str, int] = {}

    def level(room: str, above: tuple[str, ...]) -> int:
        if room not in known:
            below = [level(one, (*above, room)) for one in uses[room] if one not in above]
            known[room] = 1 + max(below, default=-1)
        return known[room]

    for room in sorted(uses):
        level(room, ())
    return known


def needed(uses: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """The arrows that do not follow from others."""
    below = {room: _reach(uses, room) for room in uses}
    return {
        (room, one)
        for room, ones in uses.items()
        for one in ones
        if not any(one in below[other] for other in ones if other != one)
    }


def _reach(uses: Mapping[str, set[str]], room: str) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for one in uses[waiting.pop()] - found:
            found.add(one)
            waiting.append(one)
    return found


def picture(uses: Mapping[str, set[str]]) -> str:
    """The SVG, what imports most on top."""
    rows: dict[int, list[str]] = defaultdict(list)
    for room, level in levels(uses).items():
        rows[level].append(room)
    widest = max(map(len, rows.values()))
    width = widest * (BOX_WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    height = len(rows) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN
    middle: dict[str, tuple[float, float]] = {}
    for level, rooms in rows.items():
        left = (width - len(rooms) * (BOX_WIDTH + GAP_X) + GAP_X) / 2
        top = MARGIN + (max(rows) - level) * (BOX_HEIGHT + GAP_Y)
        for place, room in enumerate(sorted(rooms)):
            middle[room] = (left + place * (BOX_WIDTH + GAP_X) + BOX_WIDTH / 2, top)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" role="img">',
        "<title>Which folder of the program imports which</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        *(_arrow(middle[a], middle[b]) for a, b in sorted(needed(uses))),
        *(_box(room, *middle[room]) for room in sorted(middle)),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = above, below
    y1 += BOX_HEIGHT
    bend = (y1 + y2) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {bend:.0f} {x2:.0f} {bend:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _box(room: str, middle: float, top: float) -> str:
    kind = "box top" if room in ("run", "cli", "commands", "analysis", "__main__") else "box"
    return (
        f'<rect class="{kind}" x="{middle - BOX_WIDTH / 2:.0f}" y="{top:.0f}" '
        f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}"/>'
        f'<text x="{middle:.0f}" y="{top + BOX_HEIGHT / 2:.0f}">{escape(room)}</text>'
    )
