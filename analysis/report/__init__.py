"""The report: page, paper figures, tables, and the server that keeps it up to date."""
