"""What every metric means: unit, range, formula, and what other frameworks call it."""
