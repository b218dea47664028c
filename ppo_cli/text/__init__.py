"""Pure functions of text: words, similarity, openings, numbers as text."""
