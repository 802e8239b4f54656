"""What nodes without network need: the hub's cache, and what a run would lack there."""
