"""Collapse, budget, comparison, health: what finished and running experiments say.

`python -m analysis DIR...` writes a report; in a notebook: `study = analysis.load("runs/study")`.
"""

from analysis.run import Problem, Run
from analysis.study import Study, load

__all__ = ["Problem", "Run", "Study", "load"]
