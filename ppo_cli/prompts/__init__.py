"""Prompt sets: reading, choosing fixed subsets, and auditing them for leaks."""
