"""Rewards: what is scored, how terms add up, and the guard that no broken score passes."""
