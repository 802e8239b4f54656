"""RLAVR experiments on Slurm clusters: reinforcement learning with active verifiable rewards."""

__version__ = "0.2.0.dev0"
