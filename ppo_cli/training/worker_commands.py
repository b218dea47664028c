"""The commands that the main process sends to the workers of distributed training.

Not here: how commands are sent (`engine.distributed`), what a worker does with them (`worker`).
"""

from __future__ import annotations

from enum import Enum


class WorkerCommand(Enum):
    """What a worker does next. Each command is sent with the arguments that its docstring lists."""

    START = "start"
    """Open the run and load the start model: folder of the run, number of threads."""
    SAMPLE_BASELINE = "sample baseline"
    """Sample this rank's shard of the reference model's baseline answers."""
    SCORE_BASELINE = "score baseline"
    """Score the baseline answers, which the main process has sampled or read."""
    BUILD_TRAINER = "build trainer"
    """Build the trainer."""
    EVALUATE = "evaluate"
    """Answer this rank's shard of an evaluation: step, ids of the prompts."""
    LOAD_CHECKPOINT = "load checkpoint"
    """Put the trainer back to a checkpoint: its folder."""
    SAVE_CHECKPOINT = "save checkpoint"
    """Give this rank's parts of sharded weights to the main process, which writes a checkpoint."""
    HASH_REFERENCE = "hash reference"
    """Give this rank's parts of the sharded reference to the main process, which hashes it."""
    TRAIN = "train"
    """Run the update loop in step with the main process; after each update other commands may come before CONTINUE."""
    CONTINUE = "continue"
    """Ends the commands after an update: True if another update follows, False if training ends here."""
    STOP = "stop"
    """Training is over; no more commands follow."""
