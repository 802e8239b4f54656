"""Answers read exactly, without computer algebra: most answers are numbers."""
