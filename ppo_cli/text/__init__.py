"""Pure functions on text: words, openings, list items, similarity, and numbers as text.

Not here: the rules that label an answer (`behaviours`).
"""
