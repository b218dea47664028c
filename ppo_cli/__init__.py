"""A command-line runner for PPO experiments on language models."""

__version__ = "0.1.0"
