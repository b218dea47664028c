"""The runs of a comparison or report: each with its last evaluation on the whole set, grouped by setting.

Never imports torch. Not here: comparing them (`compare`), pages of them (`report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.evaluation_data import EvaluationData
from ppo_cli.evaluation.run_alarms import Findings, load_or_compute
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Experiment
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.records.answers import Prompt
from ppo_cli.records.program import command
from ppo_cli.records.training import COMPLETED_STATUSES
from ppo_cli.stats.comparability import setting_digest
from ppo_cli.store.runs import Run, find_run


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run as one side of a comparison, or as one seed of a side."""

    records: RunRecords
    step: int
    """Of its last evaluation on the whole set."""

    @property
    def run(self) -> Run:
        return self.records.run

    @property
    def name(self) -> str:
        return self.records.name

    @property
    def experiment(self) -> Experiment:
        return self.records.experiment

    @property
    def lock(self) -> Lock:
        return self.records.lock

    @property
    def is_placebo(self) -> bool:
        """Whether its rewards were permuted: the control arm of a comparison."""
        return self.experiment.reward.placebo

    @property
    def evaluated(self) -> EvaluationData:
        """Its last evaluation on the whole set."""
        return self.records.evaluation(self.step)

    @cached_property
    def findings(self) -> Findings:
        """Its alarms and advice at that evaluation."""
        return load_or_compute(self.records, self.evaluated, self.step)

    @cached_property
    def circumstances(self) -> dict[str, str]:
        """What may influence results although no config key sets it: package versions, machine, dtype."""
        record = self.records.provenance
        git = record.get("git") or {}
        packages = record.get("packages", {})
        return {
            **{name: str(packages.get(name)) for name in ("torch", "transformers", "trl", "peft", "ppo-cli")},
            "git": f"{git.get('commit', 'none')[:10]}{' dirty' if git.get('dirty') else ''}",
            "device": str(record.get("gpu") or record.get("device")),
            "processor": str(record.get("machine", {}).get("processor")),
            "dtype": str(record.get("dtype")),
            "threads": str(record.get("threads")),
        }


def compared_run(run: str | Path | Run, runs_dir: Path) -> ComparedRun:
    """A finished run with its last evaluation on the whole set.

    Raises:
        UsageError: no such run.
        IntegrityError: it is not finished, was changed after freezing, or has no whole evaluation.
    """
    records = RunRecords.verified(find_run(run, runs_dir))
    status = records.state.status
    if status not in COMPLETED_STATUSES:
        resume = command("train", "--resume", records.layout.root)
        raise IntegrityError(
            f"{records.name} is not finished ({status}).",
            "Wait for it to end." if status == "running" else f"Finish it first: {resume}",
        )
    step = records.last_whole_step()
    if step is None:
        evaluate = command("eval", "--checkpoint", records.layout.root / "last")
        raise IntegrityError(f"{records.name} has no complete evaluation.", f"Make one with `{evaluate}`.")
    return ComparedRun(records=records, step=step)


def group_by_setting(runs: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """Runs by their setting, in the order of each setting's first run.

    Raises:
        UsageError: beside other settings, one has two runs of the same seed.
    """
    by_setting: dict[str, list[ComparedRun]] = {}
    for run in runs:
        by_setting.setdefault(setting_digest(run.lock), []).append(run)
    if len(by_setting) > 1:
        for arm in by_setting.values():
            if twins := same_seed_twice(arm):
                first, second = twins
                raise UsageError(
                    f"{first.name} and {second.name} have the same setting and the same seed, so the second adds "
                    "nothing to the first.",
                    "Leave one out.",
                )
    return list(by_setting.values())


def same_seed_twice(arm: Sequence[ComparedRun]) -> tuple[ComparedRun, ComparedRun] | None:
    """The first two runs of one seed, if there are any."""
    by_seed: dict[int, ComparedRun] = {}
    for run in arm:
        if run.experiment.seed in by_seed:
            return by_seed[run.experiment.seed], run
        by_seed[run.experiment.seed] = run
    return None


def common_prompts(runs: Sequence[ComparedRun]) -> dict[str, Prompt]:
    """Prompts that are the same in all runs: id, wording, category and expected behaviour."""
    first, *others = [run.evaluated.prompts for run in runs]
    return {
        key: prompt
        for key, prompt in first.items()
        if all(
            (there := other.get(key)) is not None
            and (there.text, there.category, there.expect) == (prompt.text, prompt.category, prompt.expect)
            for other in others
        )
    }


def differing_circumstances(
    between_first: Mapping[str, tuple[str, str]], runs: Sequence[ComparedRun]
) -> dict[str, tuple[str, str]]:
    """Circumstances that differ between the first runs of two arms, or between the first run and any other.

    Args:
        between_first: those of the first runs of two arms, name to (A, B).
        runs: all runs, the first of arm A first.
    """
    first = runs[0].circumstances
    others = {
        name: (first[name], value)
        for run in runs[1:]
        for name, value in run.circumstances.items()
        if value != first[name]
    }
    return {**others, **between_first}


def leaks(runs: Sequence[ComparedRun]) -> dict[str, int]:
    """How many evaluation prompts overlap with prompts that a run learnt from, by the run's name; none left out."""
    counts = {}
    for run in runs:
        learnt = [*run.records.prompts("prompts.train"), *run.records.prompts("model.warm_start")]
        leaked = {overlap.eval_id for overlap in overlaps(list(run.evaluated.prompts.values()), learnt)}
        if leaked:
            counts[run.name] = len(leaked)
    return counts
