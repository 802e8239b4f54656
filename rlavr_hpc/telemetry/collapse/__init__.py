"""What collapse is, and the early warning of it."""
