"""Which keys of a run's config have an effect with what the run has chosen."""
