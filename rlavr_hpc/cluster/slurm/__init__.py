"""Slurm: asking it, submitting to it, and what happened to the jobs. Imports no torch."""
