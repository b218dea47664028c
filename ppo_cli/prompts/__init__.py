"""Prompt sets: reading them from files and datasets, splitting them, and finding overlaps between them."""
