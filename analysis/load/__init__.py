"""Run folders as the analysis reads them: damage is noted, the rest is used."""
