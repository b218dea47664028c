"""The lines of the gate before PPO: each file looks at one thing and gives number, threshold, reason and remedy."""
