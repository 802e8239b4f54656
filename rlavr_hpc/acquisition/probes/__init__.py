"""Small networks that guess, before any label is bought, what a label would say."""
