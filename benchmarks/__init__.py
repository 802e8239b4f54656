"""One module per figure that the README quotes; each can be rerun by anyone."""
