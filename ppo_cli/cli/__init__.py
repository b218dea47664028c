"""The `ppo` command: parse, call one function of a package below, print, turn errors into exit codes.

Not here: logic, and nothing that is slow to import, so that `ppo --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

import ppo_cli
from ppo_cli.cli import (
    chat,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    init,
    label,
    measures,
    prompts,
    rehearse,
    report,
    reward,
    runs,
    schema,
    sft_check,
    show,
    train,
    verify_engine,
    view,
)
from ppo_cli.cli.commands import CommandGroup
from ppo_cli.cli.terminal import print_text
from ppo_cli.models.free_memory import limit_kernel_caches
from ppo_cli.records.program import command, example_config, first_commands

SUMMARY = "Run a first PPO fine-tuning of a language model, and measure how its behaviour changed."
COMMANDS: dict[str, tuple[Callable[..., None], tuple[tuple[str, ...], ...]]] = {
    "demo": (demo.demo, demo.EXAMPLES),
    "init": (init.init, init.EXAMPLES),
    "prompts": (prompts.prompts, prompts.EXAMPLES),
    "sft-check": (sft_check.sft_check, sft_check.EXAMPLES),
    "reward": (reward.reward, reward.EXAMPLES),
    "rehearse": (rehearse.rehearse, rehearse.EXAMPLES),
    "train": (train.train, train.EXAMPLES),
    "eval": (evaluate.evaluate, evaluate.EXAMPLES),
    "chat": (chat.chat, chat.EXAMPLES),
    "label": (label.label, label.EXAMPLES),
    "export": (export.export, export.EXAMPLES),
    "compare": (compare.compare, compare.EXAMPLES),
    "report": (report.report, report.EXAMPLES),
    "runs": (runs.list_runs, runs.EXAMPLES),
    "show": (show.show, show.EXAMPLES),
    "view": (view.view, view.EXAMPLES),
    "measures": (measures.measures, measures.EXAMPLES),
    "schema": (schema.schema, schema.EXAMPLES),
    "verify-engine": (verify_engine.verify_engine, verify_engine.EXAMPLES),
    "doctor": (doctor.doctor, doctor.EXAMPLES),
}
"""(function, examples) in the order of `ppo --help`: the order in which they are used. CONFIG stands for a config."""

app = typer.Typer(
    name="ppo",
    cls=CommandGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=SUMMARY,
    epilog="\n".join(["\b", "To start a first run:", *(f"  {line}" for line in first_commands())]),
)


def _examples(name: str, examples: tuple[tuple[str, ...], ...]) -> str:
    """The examples of a command as they are typed here; the mark keeps their lines apart."""
    lines = [command(name, *(example_config() if word == "CONFIG" else word for word in words)) for words in examples]
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _summary(function: Callable[..., None]) -> str:
    """The first line of a command's help; given as such, the list of commands does not cut it."""
    return (function.__doc__ or "").partition("\n")[0]


for _name, (_function, _words) in COMMANDS.items():
    app.command(_name, short_help=_summary(_function), epilog=_examples(_name, _words))(_function)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Options of `ppo` itself."""
    if version:
        print_text(f"ppo {ppo_cli.__version__}\n")
        raise typer.Exit


def main() -> None:
    """Entry point of the `ppo` script."""
    if not os.environ.get("PPO_DEBUG"):
        warnings.filterwarnings("ignore")  # warnings of libraries are for developers; ours are notices
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft imports it; it misses kernels
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    limit_kernel_caches()
    app()
