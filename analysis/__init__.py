"""Collapse, budget, comparison, health: what finished and running experiments say.

`rlavr report DIR...` writes a report; in a notebook: `study = analysis.load("runs/study")`.
"""

from analysis.load.run import Problem, RunData
from analysis.load.study import Study, load

__all__ = ["Problem", "RunData", "Study", "load"]
