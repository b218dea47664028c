"""Checks before PPO that `ppo sft-check` prints and `ppo train` enforces; each has a value, threshold and next step."""
