"""Acquisition policies: one file each. They see rollouts and votes, never a label."""
