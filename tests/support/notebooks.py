"""Runs a notebook's code cells one after the other, as Jupyter would without its display."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    """The notebook's code cells, in order."""
    cells: list[dict[str, Any]] = json.loads(notebook.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def main(notebook: Path) -> None:
    """Execute the cells in one namespace; prints the value that each ends with, if any."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), start=1):
        body = ast.parse("".join(cell["source"]), f"{notebook.name}, code cell {number}").body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        place = f"{notebook.name}, code cell {number}"
        exec(compile(ast.Module(body, []), place, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), place, "eval"), names)
            print(f"[{number}] {value}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
