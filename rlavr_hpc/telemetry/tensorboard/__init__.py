"""Runs in TensorBoard: live, and rebuilt from the record. Needs neither torch nor TensorFlow."""
