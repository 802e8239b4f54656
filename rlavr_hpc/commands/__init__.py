"""The command line's verbs, one module each. Nothing imports them but the command line."""
