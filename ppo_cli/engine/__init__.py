"""Training on TRL: the PPO engine and the SFT warm start. The only room that imports trl.

trl is pinned to 1.12.0, the last release with PPO. Its loop is the judge of what is right; ours, in a subclass,
does the work. When TRL has to go, this room is replaced and nothing above it changes.
"""
