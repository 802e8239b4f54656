"""Conditions over seeds: intervals, tests, spending, health, and advice."""
