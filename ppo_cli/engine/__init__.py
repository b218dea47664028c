"""All training on TRL: the PPO trainer, the SFT warm start, reward models. The only package that imports trl.

trl is pinned to 1.12.0, the last release with PPO. Tests compare our loop with TRL's own. If TRL is replaced one day,
this package is replaced and nothing above it changes.
"""
