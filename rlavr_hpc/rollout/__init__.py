"""Rollout engines: the protocol, request seeds, and one file per engine."""
