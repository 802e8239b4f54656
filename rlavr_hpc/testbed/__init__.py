"""The one-minute testbed: questions with known wrong beliefs and the tiny model that holds them."""
