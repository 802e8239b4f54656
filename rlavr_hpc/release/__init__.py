"""A trained policy as others get it: model folder, model card, provenance."""
