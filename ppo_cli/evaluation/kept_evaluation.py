"""`ppo eval` on a checkpoint that its run has evaluated already: the run's own answers, which are not sampled again.

Not here: sampling (`evaluate`), several checkpoints of a run (`checkpoint_curve`).
"""

from __future__ import annotations

from pathlib import Path

from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.evaluation.target import EvaluationTarget
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.store.evaluations import is_complete


def kept_evaluation(target: EvaluationTarget, on_event: EventHandler) -> EvaluationData | None:
    """The whole evaluation that the run holds of this very checkpoint; None where it has to be sampled.

    How answers are sampled is frozen with the run, so the same answers would come again.

    Args:
        target: whose answers.
        on_event: called with a notice about what is found.

    Raises:
        IntegrityError: the checkpoint was changed after it was written.
    """
    from ppo_cli.setup.start_model import open_checkpoint

    folders = [target.folder, *([target.baseline_folder] if target.baseline_folder and target.other_prompts else [])]
    if target.records is None or not all(map(is_complete, folders)) or not Path(target.checkpoint).is_dir():
        return None
    open_checkpoint(target.checkpoint, target.run, on_event)
    try:
        evaluated = target.read()
    except IntegrityError as error:
        on_event(Notice(text=f"{error.message} So {target.name} is sampled again.", level="warning"))
        return None
    if evaluated.partial:
        return None
    text = f"{target.name} is not sampled again: its answers are in {target.folder}. Remove that folder to sample anew."
    on_event(Notice(text=text))
    return evaluated
