"""The data classes that packages pass to each other: frozen records with units in their docstrings.

Not here: anything that reads, writes or computes.
"""
