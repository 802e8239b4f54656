"""Runs on Weights & Biases: live, offline, and rebuilt from the record."""
