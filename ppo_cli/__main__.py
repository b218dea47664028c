"""Lets `python -m ppo_cli` stand in for the `ppo` command."""

from ppo_cli.cli import main

if __name__ == "__main__":
    main()
