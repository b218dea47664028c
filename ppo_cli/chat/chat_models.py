"""The models of a chat: checkpoints of runs, and before them the start model of the first run, restored exactly.

Not here: what they say to one another (`session`), loading (`setup.start_model`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ppo_cli.evaluation.run_checkpoint import RunCheckpoint
from ppo_cli.evaluation.start_model_of_run import load_start_model_of_run, resolved_run
from ppo_cli.records.chat import VotedModel
from ppo_cli.records.events import EventHandler, Notice, Phase
from ppo_cli.records.program import command
from ppo_cli.setup.own_runs import ReceivedRunOptions
from ppo_cli.store.evaluations import checkpoint_digest

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer
    from ppo_cli.setup.resolve import ResolvedExperiment

ALONE = "--alone"


@dataclass(frozen=True, kw_only=True)
class ChatModel:
    """One model that answers."""

    name: str
    """What screens call it."""
    identity: VotedModel
    model: Any
    """A transformers causal language model."""
    tokenizer: ChatTokenizer

    @property
    def max_positions(self) -> int | None:
        """The longest conversation that it was made for, in tokens, where its config states it."""
        stated = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(stated) if stated else None


def open_models(
    checkpoints: Sequence[RunCheckpoint], *, alone: bool, received: ReceivedRunOptions, on_event: EventHandler
) -> list[ChatModel]:
    """Loads the checkpoints, and before them the start model of the first one's run.

    Args:
        checkpoints: in the order in which they answer.
        alone: leave the start model out.
        received: what the user says of runs that were made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: a run brings code that must not be run unasked.
        ModelError: a start model or tokenizer cannot be read.
        IntegrityError: a run, its start model or a checkpoint is not what was frozen.
    """
    opened: list[ChatModel] = []
    for number, checkpoint in enumerate(checkpoints):
        resolved = resolved_run(checkpoint, received, on_event)
        if number == 0 and not alone:
            opened.append(_start_model(checkpoint, resolved, on_event))
        opened.append(_checkpoint(checkpoint, resolved, on_event))
    starts = {_start_digests(checkpoint) for checkpoint in checkpoints}
    if len(starts) > 1 and not alone:
        text = f"These runs have {len(starts)} different start models; the one shown is that of {checkpoints[0].name}."
        on_event(Notice(text=text, level="warning"))
    return opened


def start_of(checkpoint: RunCheckpoint) -> VotedModel:
    """What votes call the start model of a checkpoint's run."""
    records = checkpoint.records
    return VotedModel(run=records.name, lock=records.lock.fingerprint, step=0, checkpoint=None)


def voted_checkpoint(checkpoint: RunCheckpoint) -> VotedModel:
    """What votes call a checkpoint."""
    records = checkpoint.records
    return VotedModel(
        run=records.name,
        lock=records.lock.fingerprint,
        step=checkpoint.step,
        checkpoint=checkpoint_digest(checkpoint.folder),
    )


def start_name(checkpoint: RunCheckpoint) -> str:
    """What screens call the start model of a checkpoint's run."""
    return f"start model of {checkpoint.records.name}"


def _start_digests(checkpoint: RunCheckpoint) -> tuple[str, ...]:
    """What two runs have in common whose start models are the same."""
    groups = checkpoint.records.lock.groups
    return tuple(groups[name].digest for name in ("start_model", "warm_start") if name in groups)


def _start_model(checkpoint: RunCheckpoint, resolved: ResolvedExperiment, on_event: EventHandler) -> ChatModel:
    on_event(Phase(name=f"loading the {start_name(checkpoint)}"))
    step = f"Talk to the checkpoint alone: `{command('chat', checkpoint.folder, ALONE)}`."
    start = load_start_model_of_run(checkpoint, resolved, on_event, step)
    return ChatModel(
        name=start_name(checkpoint), identity=start_of(checkpoint), model=start.model, tokenizer=resolved.tokenizer
    )


def _checkpoint(checkpoint: RunCheckpoint, resolved: ResolvedExperiment, on_event: EventHandler) -> ChatModel:
    from ppo_cli.models import loading
    from ppo_cli.models.device import choose_device, choose_dtype
    from ppo_cli.setup.start_model import open_checkpoint

    on_event(Phase(name=f"loading {checkpoint.name}"))
    folder = open_checkpoint(str(checkpoint.folder), checkpoint.records.run, on_event)
    settings = resolved.experiment
    device = choose_device(settings.device)
    model = loading.load_model(
        folder,
        resolved.tokenizer,
        device,
        choose_dtype(settings.model.dtype, device),
        trust_remote_code=settings.model.trust_remote_code,
    )
    return ChatModel(
        name=checkpoint.name, identity=voted_checkpoint(checkpoint), model=model, tokenizer=resolved.tokenizer
    )
