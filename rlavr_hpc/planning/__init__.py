"""Memory, time and GPU-hours of a run from its config alone: formulas, no model and no torch."""
