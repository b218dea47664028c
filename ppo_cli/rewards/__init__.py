"""Rewards: the terms that score answers, their weighted sum, and the check that every score is a finite number."""
