"""The annotators' page of `labels=people`: a small site that reads orders and writes answers."""
