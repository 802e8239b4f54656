"""What runs and sweeps have spent on labels, read from their folders, and the proof of it."""
