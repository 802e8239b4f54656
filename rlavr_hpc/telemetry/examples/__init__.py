"""Example rollouts on record, and as a dashboard's table."""
