"""The one check of a model's folder, before anything is loaded from it."""
