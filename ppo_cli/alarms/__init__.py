"""Alarms: the ways in which a PPO run goes wrong, one file each, every one a pure function of the run's records.

They explain after the fact. One that is silent proves nothing, and one that rings is a reason to look, not a verdict.

Not here: reading the records (`commands`), how an alarm looks (`report`).
"""
