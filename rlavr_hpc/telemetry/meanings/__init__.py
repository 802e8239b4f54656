"""What each metric means, one module per kind of figure; `telemetry.glossary` has them all."""
