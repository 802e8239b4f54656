"""A finished model on test sets: which sets, how it is sampled, what is kept, what is told."""
