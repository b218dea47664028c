"""What an evaluation is of: from the name of a checkpoint or model to its settings, prompts and folder.

Never imports torch. Not here: generating and measuring answers (`evaluate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ppo_cli.errors import UsageError
from ppo_cli.evaluation.evaluation_data import EvaluationData, read_evaluation
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.prompts.sources import PromptSet, read_prompt_set
from ppo_cli.records.answers import Prompt
from ppo_cli.records.program import example_config
from ppo_cli.store.checkpoint_names import checkpoint_path
from ppo_cli.store.evaluations import is_complete, read_summary, require_evaluation_of
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, run_of

MODEL_EVALUATIONS = "evaluations"
"""Folder inside the folder of runs for models that belong to no run."""


@dataclass(frozen=True, kw_only=True)
class EvaluationTarget:
    """A checkpoint or model, the settings and prompts of its evaluation, and where the results go."""

    checkpoint: str
    records: RunRecords | None
    """Of the run that the checkpoint belongs to."""
    experiment: Experiment
    other_prompts: PromptSet | None
    """Prompts in place of the experiment's evaluation set."""
    folder: Path
    spare_folder: Path
    """Folder of evaluations where the run itself may not be written."""

    @property
    def run(self) -> Run | None:
        """The run that the checkpoint belongs to."""
        return self.records.run if self.records else None

    @property
    def name(self) -> str:
        """What screens call it."""
        return f"{self.records.name}/{Path(self.checkpoint).name}" if self.records else self.checkpoint

    @property
    def step(self) -> int | None:
        """The update after which the checkpoint was written; None of a model that belongs to no run."""
        return step_of(Path(self.checkpoint).absolute()) if self.records else None

    @property
    def chosen_on(self) -> int | None:
        """How many of the prompts this checkpoint was chosen on as the run's best; None for any other, or on others."""
        if self.records is None or self.other_prompts is not None or self.step is None:
            return None
        state = self.records.run.state()
        if self.step != state.best_step or self.step == state.updates_done:  # the last needed no choice
            return None
        interim = self.experiment.evaluation.interim_prompts
        return min(interim, len(self.prompts)) if interim else len(self.prompts)

    @property
    def prompt_set(self) -> str:
        """What summary.json calls the prompts."""
        return self.other_prompts.name if self.other_prompts else "eval"

    @property
    def baseline_folder(self) -> Path | None:
        """Where step 0 of the same run answers the same prompts."""
        return self.records.layout.evaluations / f"step-000000{_suffix(self.other_prompts)}" if self.records else None

    @cached_property
    def prompts(self) -> Sequence[Prompt]:
        """The prompts to answer."""
        if self.other_prompts:
            return self.other_prompts.prompts
        if self.records:
            return self.records.prompts("prompts.eval")
        return read_prompts(Path(self.experiment.prompts.eval))

    def read(self) -> EvaluationData:
        """The evaluation, from its folder.

        Raises:
            IntegrityError: it is not complete, or was changed.
        """
        if self.records and self.step is not None and self.other_prompts is None:
            return replace(self.records.evaluation(self.step), name=self.name)
        return self._read_other(self.folder, self.step, self.name)

    def read_baseline(self) -> EvaluationData | None:
        """The answers of step 0 of the same run to the same prompts; None where there are none."""
        folder = self.baseline_folder
        if folder is None or self.records is None or not is_complete(folder):
            return None
        if self.other_prompts is None:
            return self.records.evaluation(0)
        return self._read_other(folder, 0, "step 0")

    def _read_other(self, folder: Path, step: int | None, name: str) -> EvaluationData:
        """An evaluation that is not among the run's own, or of a model that belongs to no run."""
        summary = read_summary(folder)
        if self.records is not None and step is not None:
            require_evaluation_of(summary, self.records.policy_at(step), folder)
        return read_evaluation(folder, self.prompts, name, self.experiment, summary)


def find_target(
    checkpoint: str,
    *,
    config: Path | LoadedExperiment | None,
    prompts: str | None,
    runs_dir: Path,
    opened: dict[Path, RunRecords],
) -> EvaluationTarget:
    """Finds what is to be evaluated, without loading a model.

    Args:
        checkpoint: a checkpoint of a run, RUN/best, RUN/last, RUN/step-N, a model folder, a Hugging Face id or
            builtin:NAME.
        config: the settings of a model that belongs to no run.
        prompts: other prompts instead of the experiment's evaluation set.
        runs_dir: folder of run folders.
        opened: records of runs by folder; those of the target's run are taken from here or added.

    Raises:
        UsageError: no such checkpoint, or no settings for it.
        IntegrityError: the run was changed after freezing.
    """
    checkpoint = checkpoint_path(checkpoint, runs_dir)
    # A checkpoint that was pruned still has its evaluations.
    run = run_of(Path(checkpoint)) if Path(checkpoint).exists() or step_of(Path(checkpoint)) is not None else None
    if run is not None:
        if run.layout.root not in opened:
            opened[run.layout.root] = RunRecords.verified(run)
        records: RunRecords | None = opened[run.layout.root]
        experiment = opened[run.layout.root].experiment
    elif config is not None:
        loaded = config if isinstance(config, LoadedExperiment) else load_experiment(config)
        records, experiment = None, loaded.experiment
    else:
        if checkpoint.startswith(("/", ".", "runs/")) and not Path(checkpoint).exists():
            raise no_such_checkpoint(checkpoint)
        raise UsageError(
            f"{checkpoint} belongs to no run, so there are no settings to sample it with.",
            f"Add --config {example_config()}.",
        )
    other = read_prompt_set(prompts) if prompts is not None else None
    folder = _folder(checkpoint, run, _suffix(other), runs_dir)
    return EvaluationTarget(
        checkpoint=checkpoint,
        records=records,
        experiment=experiment,
        other_prompts=other,
        folder=folder,
        spare_folder=runs_dir / MODEL_EVALUATIONS,
    )


def no_such_checkpoint(checkpoint: str) -> UsageError:
    """The error of a checkpoint that does not exist."""
    return UsageError(f"{checkpoint}: no such checkpoint.", "List a run's checkpoints with `ls RUN/checkpoints`.")


def _suffix(other: PromptSet | None) -> str:
    return f"--{other.name}-{other.digest[:6]}" if other else ""


def _folder(checkpoint: str, run: Run | None, suffix: str, runs_dir: Path) -> Path:
    """Where an evaluation goes: beside the run's others, or in a folder of its own."""
    if run is not None:
        step = step_of(Path(checkpoint).absolute())
        name = f"step-{step:06d}" if step is not None else Path(checkpoint).name
        return run.layout.evaluations / f"{name}{suffix}"
    slug = Path(checkpoint.replace("builtin:", "")).name
    return runs_dir / MODEL_EVALUATIONS / f"{slug}-{hashlib.sha256(checkpoint.encode()).hexdigest()[:6]}{suffix}"
