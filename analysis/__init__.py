"""Collapse, budget, comparison, health: what finished and running experiments say."""
