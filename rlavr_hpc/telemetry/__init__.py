"""What a run reports: metric names, their reduction, and where rows are written."""
