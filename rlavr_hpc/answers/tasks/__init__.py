"""What an answer is, when two are equal, and what a response earns: one module per kind of task."""
