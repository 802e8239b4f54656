"""Figures for a paper: the only importers of matplotlib."""
