"""A finished model on test sets: which sets, sampling, records, reports."""
