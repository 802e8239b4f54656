"""From response text to answers, clusters, votes and verdicts. Model output is hostile text."""
