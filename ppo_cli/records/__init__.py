"""The nouns that travel between rooms: frozen records with units in their docstrings.

Not here: anything that reads, writes or computes.
"""
