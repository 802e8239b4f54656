"""What the commands show that look at runs, sweeps and the cluster. Imports no torch."""
