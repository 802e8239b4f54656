"""One run: assembles the stages and drives them step by step."""
