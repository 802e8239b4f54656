"""What collapse is, a hint of it without labels, and an alarm by audited votes."""
