"""Every key of a run: one module per config group, and `run` for what spans groups."""
