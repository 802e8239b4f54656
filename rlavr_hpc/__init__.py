"""RLAVR experiments on Slurm clusters: reinforcement learning with active verifiable rewards."""

__version__ = "0.1.0"
