"""Grading in processes that may be killed: hostile text can neither hang nor take over a run."""
