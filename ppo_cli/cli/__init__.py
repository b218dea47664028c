"""The `ppo` command: parse, call one function of a package below, print, turn errors into exit codes.

Not here: logic, and nothing heavy at import, so that `ppo --help` answers at once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

import ppo_cli
from ppo_cli.cli import compare, evaluate, init, label, report, reward, runs, schema, sft_check, show, train

app = typer.Typer(
    name="ppo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="A first PPO run that a person can trust: one frozen experiment, judged by how behaviour changed.",
    epilog="Start with: ppo train configs/refusal.yaml",
)

COMMANDS: dict[str, Callable[..., None]] = {
    "init": init.init,
    "sft-check": sft_check.sft_check,
    "reward": reward.reward,
    "train": train.train,
    "eval": evaluate.evaluate,
    "label": label.label,
    "compare": compare.compare,
    "report": report.report,
    "runs": runs.list_runs,
    "show": show.show,
    "schema": schema.schema,
}
"""In the order of `ppo --help`: the order in which they are used."""

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    """A first PPO run that a person can trust."""
    if version:
        typer.echo(f"ppo {ppo_cli.__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `ppo` script."""
    if not os.environ.get("PPO_DEBUG"):
        warnings.filterwarnings("ignore")  # libraries warn their developers; our own notices are not warnings
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    app()
