"""Checkpoints as the trainer writes, reads and consolidates them."""
