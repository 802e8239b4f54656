"""How the report and the terminal write: numbers, terms, and sentences as templates."""
