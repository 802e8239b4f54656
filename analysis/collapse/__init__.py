"""Whether and when a run collapsed, of which kind, and who could have known."""
