"""A run's folder: its formats, how runs are found, and the state a run is in. Imports no torch."""
