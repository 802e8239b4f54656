"""What finished and running experiments say: collapse, labels, conditions compared, cost.

`rlavr report DIR...` writes a report. In a notebook or script the same runs are data frames:

    import analysis

    study = analysis.load("runs/study")     # run folders, sweeps, or folders with such below them
    study.table()                           # one row per run: settings, state, accuracy, labels
    study.steps()                           # every metric of every step, index (run, step)
    study.purchases()                       # every decision to buy labels
    study.starts()                          # every start of every run
    run = study["care-1"]                   # one run: `RunData`
    run.rows["collapse/majority_ratio"]     # a metric by step
    run.accuracy                            # held-out accuracy by step
    run.labels_by_step                      # labels bought so far, by step
    study.problems                          # what could not be read, and why (`Problem`)

Nothing in a run folder is changed, and torch is not needed.
"""

from analysis.load.run import Problem, RunData
from analysis.load.study import Study, load

__all__ = ["Problem", "RunData", "Study", "load"]
