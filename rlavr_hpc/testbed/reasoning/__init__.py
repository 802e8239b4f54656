"""The testbed with worked steps: knights and knaves whose connectives are partly learnt wrongly."""
