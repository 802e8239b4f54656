"""Where this process runs: ranks, threads, signals, launchers. Imports no torch."""
