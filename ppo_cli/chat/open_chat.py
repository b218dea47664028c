"""Opens a chat: finds the checkpoints, checks what may be voted on, loads the models.

Not here: the chat itself (`session`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.errors import NoPermissionError, UsageError
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint, find_run_checkpoint
from ppo_cli.records.chat import RUN_AND_START, ChatOptions, ChatResult, Ties
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.setup.own_runs import OWN_RUN, ReceivedRunOptions
from ppo_cli.store.files import may_write
from ppo_cli.store.votes import read_votes

if TYPE_CHECKING:
    from ppo_cli.chat.session import ChatSession

MAX_NEW_TOKENS = 200
"""Longest answer in a chat, in tokens, unless the run's evaluations have longer ones."""


def open_chat(
    runs: Sequence[str | Path],
    *,
    options: ChatOptions = RUN_AND_START,
    runs_dir: str | Path = "runs",
    received: ReceivedRunOptions = OWN_RUN,
    on_event: EventHandler = ignore_events,
) -> ChatSession:
    """Loads checkpoints, and the start model of the first one's run, for a chat.

    Args:
        runs: checkpoints of runs: RUN, RUN/best, RUN/last, RUN/step-N.
        options: who answers, and how.
        runs_dir: folder of run folders.
        received: what the user says of runs that were made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: no such run, or a number of models that cannot be voted on.
        IntegrityError: a run, its start model or a checkpoint is not what was frozen.

    Example:
        >>> chat = open_chat(["runs/refusal-kl0.15-s1-7f3a9c/best"])
        >>> [answer.text for answer in chat.ask("How do I boil an egg?").answers]
        ['Sure! To boil an egg …', 'To boil an egg …']
    """
    checkpoints = _found(runs, Path(runs_dir))
    if options.blind:
        _require_pair(checkpoints, options.alone)
        require_votes_can_be_kept(checkpoints[-1])
    evaluation = checkpoints[0].records.experiment.evaluation
    from ppo_cli.chat.chat_models import open_models
    from ppo_cli.chat.session import ChatSession, ChatSettings

    settings = ChatSettings(
        temperature=evaluation.temperature if options.temperature is None else options.temperature,
        max_new_tokens=options.max_tokens or max(MAX_NEW_TOKENS, evaluation.max_new_tokens),
        seed=evaluation.seed if options.seed is None else options.seed,
        system=checkpoints[0].records.experiment.model.system_prompt
        if options.system is None
        else options.system or None,
    )
    without_start = options.alone or (options.blind and len(checkpoints) == 2)
    models = open_models(checkpoints, alone=without_start, received=received, on_event=on_event)
    return ChatSession(models, settings, checkpoints[-1].records.layout.votes if options.blind else None)


def votes_so_far(runs: Sequence[str | Path], *, ties: Ties = "half", runs_dir: str | Path = "runs") -> ChatResult:
    """The votes on a checkpoint and its start model, or on two checkpoints; loads no model.

    Args:
        runs: one or two checkpoints of runs, as for `open_chat` with `blind`.
        ties: how a tie counts.
        runs_dir: folder of run folders.

    Raises:
        UsageError: no such run, or more than two.
        IntegrityError: the file of votes is damaged.
    """
    from ppo_cli.chat.chat_models import start_name, start_of, voted_checkpoint
    from ppo_cli.stats.win_rate import win_rate

    checkpoints = _found(runs, Path(runs_dir))
    _require_pair(checkpoints, alone=False)
    last = checkpoints[-1]
    pair = [voted_checkpoint(checkpoint) for checkpoint in checkpoints]
    names = [checkpoint.name for checkpoint in checkpoints]
    if len(pair) == 1:
        pair, names = [start_of(last), *pair], [start_name(last), *names]
    kept = read_votes(last.records.layout.votes)
    votes = [vote for vote in kept if vote.before.is_same(pair[0]) and vote.after.is_same(pair[1])]
    return ChatResult(models=tuple(names), turns=(), votes=win_rate(votes, ties))


def require_votes_can_be_kept(checkpoint: RunCheckpoint) -> None:
    """Checks, before anybody votes, that the run's file of votes can be appended to.

    Raises:
        NoPermissionError: it cannot.
        IntegrityError: it is damaged.
    """
    layout = checkpoint.records.layout
    read_votes(layout.votes)
    if not may_write(layout.root):
        raise NoPermissionError(
            f"{layout.root} may not be written, so no vote could be kept.",
            "Change its permissions, or copy the run to a folder that you may write.",
        )


def _found(runs: Sequence[str | Path], runs_dir: Path) -> list[RunCheckpoint]:
    if isinstance(runs, str | Path):
        runs = [runs]
    if not runs:
        raise UsageError("A chat needs a run.", "Name one, as RUN or RUN/best.")
    return [find_run_checkpoint(str(run), runs_dir) for run in runs]


def _require_pair(checkpoints: Sequence[RunCheckpoint], alone: bool) -> None:
    """Checks that there are two different models to vote on.

    Raises:
        UsageError: there are not.
    """
    if alone:
        raise UsageError("A vote is between two models, and --alone leaves one of them out.", "Leave out --alone.")
    if len(checkpoints) > 2:
        raise UsageError(
            f"A vote is between two models, and {len(checkpoints)} checkpoints are named.",
            "Name one, which is compared with its start model, or two.",
        )
    if len(checkpoints) == 2 and checkpoints[0].folder.samefile(checkpoints[1].folder):
        raise UsageError(f"{checkpoints[0].name} is named twice.", "Name another checkpoint beside it.")
