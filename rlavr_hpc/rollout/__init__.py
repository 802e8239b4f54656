"""Generation: a protocol, request seeds, and one file per engine."""
