"""The records of one run folder, each file read when it is first asked for and then kept.

Never imports torch. Not here: writing them (`store`), conclusions from them (`compare`, `run_alarms`, `run_summary`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.evaluation_data import EvaluationData, read_evaluation
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt
from ppo_cli.records.training import Episode, RunState, UpdateMetrics
from ppo_cli.store.answer_rows import episode_from_row
from ppo_cli.store.evaluations import (
    EvaluatedPolicy,
    checkpoint_digest,
    is_complete,
    read_summary,
    require_evaluation_of,
)
from ppo_cli.store.files import read_json, read_lines
from ppo_cli.store.layout import RunLayout, step_of
from ppo_cli.store.record_types import record_of
from ppo_cli.store.runs import Run


@dataclass(frozen=True, kw_only=True)
class _Git:
    """What is read of the git state."""

    commit: str = ""
    dirty: bool = False


@dataclass(frozen=True, kw_only=True)
class _ProvenanceParts:
    """The parts of provenance.json that have parts of their own."""

    packages: Mapping[str, str] = field(default_factory=dict)
    git: _Git | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    argv: Sequence[str] = ()


class RunRecords:
    """A run with its records.

    A command makes one of each run and hands it on, so that no file is parsed, and no evaluation labelled, twice.
    """

    def __init__(self, run: Run, prompts: Mapping[str, Sequence[Prompt]] | None = None) -> None:
        """Takes a run; nothing is read yet.

        Args:
            run: the run folder.
            prompts: the run's prompts by config key, such as `prompts.eval`, where they have been read already.
        """
        self.run = run
        self._prompts = dict(prompts or {})
        self._evaluations: dict[int, EvaluationData] = {}
        self._summaries: dict[int, dict[str, Any]] = {}

    @classmethod
    def verified(cls, run: Run) -> RunRecords:
        """The records of a run, after checking that nothing frozen was changed.

        Raises:
            IntegrityError: names what was changed.
        """
        run.verify()
        return cls(run)

    @property
    def experiment(self) -> Experiment:
        """The frozen config."""
        return self.run.experiment()

    @property
    def lock(self) -> Lock:
        """The freeze lock, with the defaults of keys that did not exist when it was written."""
        return self.run.verify()[1]

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def layout(self) -> RunLayout:
        return self.run.layout

    @cached_property
    def state(self) -> RunState:
        """run.json when it was first asked for."""
        return self.run.state()

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """provenance.json.

        Raises:
            IntegrityError: it is missing, or one of its parts has another type.
        """
        record = read_json(self.layout.provenance)
        record_of(_ProvenanceParts, record, self.layout.provenance)
        return record

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """Rows of metrics.jsonl, one per update."""
        return self.run.metrics()

    @cached_property
    def episodes(self) -> list[Episode]:
        """Rows of rollouts.jsonl, one per episode."""
        try:
            return [episode_from_row(row) for row in read_lines(self.layout.rollouts)]
        except KeyError as error:
            raise IntegrityError(
                f"{self.layout.rollouts} is damaged: {error.args[0]}.", "Restore it from a backup, or repeat the run."
            ) from None

    def add_update(self, metrics: UpdateMetrics, episodes: Iterable[Episode]) -> None:
        """Takes in an update that was just written, so that the files need not be read again."""
        if "metrics" in self.__dict__:
            self.metrics.append(asdict(metrics))
        if "episodes" in self.__dict__:
            self.episodes.extend(episodes)

    def prompts(self, key: str) -> Sequence[Prompt]:
        """The run's own copy of the prompts that a config key names; none where the key names no file."""
        if key not in self._prompts:
            path = self.layout.prompt_file(key)
            self._prompts[key] = read_prompts(path) if path.is_file() else []
        return self._prompts[key]

    def evaluated_steps(self) -> list[int]:
        """Steps with a complete evaluation, interim ones included, in order."""
        folder = self.layout.evaluations
        steps = [step_of(path) for path in folder.iterdir() if is_complete(path)] if folder.is_dir() else []
        return sorted(step for step in steps if step is not None)

    def summary(self, step: int) -> dict[str, Any]:
        """summary.json of a complete evaluation.

        Raises:
            IntegrityError: the evaluation is not complete, was changed, or is of another run, step or checkpoint.
        """
        if step not in self._summaries:
            folder = self.layout.evaluation(step)
            summary = read_summary(folder)
            require_evaluation_of(summary, self.policy_at(step), folder)
            self._summaries[step] = summary
        return self._summaries[step]

    def policy_at(self, step: int) -> EvaluatedPolicy:
        """What an evaluation of this step is of."""
        checkpoint = checkpoint_digest(self.layout.checkpoint(step)) if step else None
        return EvaluatedPolicy(lock=self.lock.fingerprint, step=step, checkpoint=checkpoint)

    def evaluation(self, step: int) -> EvaluationData:
        """The evaluation of a step, which comparisons call `step N`.

        Raises:
            IntegrityError: the evaluation is not complete, or was changed.
        """
        if step not in self._evaluations:
            self._evaluations[step] = read_evaluation(
                self.layout.evaluation(step),
                self.prompts("prompts.eval"),
                f"step {step}",
                self.experiment,
                self.summary(step),
            )
        return self._evaluations[step]

    def last_whole_step(self) -> int | None:
        """The last step that was evaluated on the whole evaluation set; None where there is none."""
        return next((step for step in reversed(self.evaluated_steps()) if not self.summary(step).get("partial")), None)
