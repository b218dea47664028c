"""The checks of `ppo doctor`: one small function per subject. Nothing heavy is imported before a function needs it."""
