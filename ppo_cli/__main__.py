"""Entry point of `python -m ppo_cli`, the same as the `ppo` command."""

from ppo_cli.cli import main

if __name__ == "__main__":
    main()
