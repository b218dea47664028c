"""`ppo eval` on several checkpoints of a run, or on all of them: one line each, behaviour against KL.

Evaluations that are there are read, the interim ones too; a checkpoint that has none is evaluated. All are shown on
the prompts that all of them answered, so that the lines can be compared with each other.

Not here: a single checkpoint (`evaluate`), the chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ppo_cli.behaviours.measures import MEASURES, is_headline, measure_named
from ppo_cli.errors import UsageError
from ppo_cli.evaluation.evaluate import (
    EvaluationData,
    EvaluationTarget,
    compare_with_baseline,
    evaluate,
    find_target,
    read_evaluation,
    rescore_evaluation,
)
from ppo_cli.records.events import EventHandler, ignore_events
from ppo_cli.records.measures import Measure
from ppo_cli.records.results import CheckpointCurveResult, CheckpointRow
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.pareto import pareto_front
from ppo_cli.store.evaluations import is_complete, read_summary
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import find_run

KL = "kl.per_answer"


def names_a_run(name: str, output: Path) -> bool:
    """Whether a name stands for a whole run."""
    return any((folder / "run.json").is_file() for folder in (Path(name), output / name))


def evaluate_checkpoints(
    names: Sequence[str],
    *,
    prompts: str | None = None,
    rescore: bool = False,
    output: Path = Path("runs"),
    on_event: EventHandler = ignore_events,
) -> CheckpointCurveResult:
    """Several checkpoints of one run side by side, each against step 0.

    Args:
        names: checkpoints, RUN/best, RUN/last, or a run, which stands for all of its checkpoints and evaluations.
        prompts: other prompts instead of the frozen evaluation set.
        rescore: measure the answers that are there by the rules of today; nothing is generated.
        output: folder of run folders.
        on_event: told of progress.

    Raises:
        UsageError: checkpoints of several runs, or of none.
        IntegrityError: something was changed after freezing.
    """
    chosen = [name for given in names for name in _expanded(given, output)]
    subjects = {subject.folder: subject for subject in (_target(name, prompts, output) for name in chosen)}
    runs = {subject.run.name for subject in subjects.values() if subject.run}
    if len(runs) != 1 or any(subject.run is None for subject in subjects.values()):
        raise UsageError(
            "Several checkpoints are shown together only if they are of one run.", "For two runs: ppo compare A B"
        )
    whole = not any(names_a_run(given, output) for given in names)
    for subject in subjects.values():
        if rescore:
            if is_complete(subject.folder):
                rescore_evaluation(subject)
        elif not _is_answered(subject, whole=whole):
            evaluate(subject.checkpoint, prompts=prompts, output=output, on_event=on_event)
    return _table(list(subjects.values()))


def _expanded(name: str, output: Path) -> list[str]:
    """A run as all of its steps that have a checkpoint or an evaluation; anything else as it is."""
    if not names_a_run(name, output):
        return [name]
    layout = find_run(name, output).layout
    places = [*layout.checkpoints.iterdir(), *layout.evaluations.iterdir()]
    steps = {step for place in places if (step := step_of(place)) is not None}
    return [str(layout.checkpoint(step)) for step in sorted(steps)]


def _target(name: str, prompts: str | None, output: Path) -> EvaluationTarget:
    return find_target(name, config=None, prompts=prompts, output=output)


def _is_answered(subject: EvaluationTarget, *, whole: bool) -> bool:
    """Whether there is nothing to generate: it was evaluated, or its checkpoint has gone."""
    if is_complete(subject.folder) and not (whole and read_summary(subject.folder).get("partial")):
        return True
    return not Path(subject.checkpoint).is_dir()


def _table(subjects: Sequence[EvaluationTarget]) -> CheckpointCurveResult:
    first = subjects[0]
    run, experiment = first.run, first.experiment
    asked = first.prompts()
    found = {
        step: (subject, read_evaluation(subject.folder, asked, f"step {step}", experiment))
        for subject in subjects
        if (step := step_of(Path(subject.checkpoint).absolute())) is not None and is_complete(subject.folder)
    }
    baseline = first.baseline
    if 0 not in found and baseline is not None and is_complete(baseline):
        found[0] = (first, read_evaluation(baseline, asked, "step 0", experiment))
    if run is None or 0 not in found or len(found) < 2:
        raise UsageError(
            "There is no evaluation of step 0 and of a later step to put side by side.",
            "Evaluate one first: ppo eval --checkpoint RUN/last",
        )
    common = set.intersection(*(set(evaluated.prompts) for _, evaluated in found.values()))
    primary = experiment.evaluation.primary
    shown = [measure for measure in MEASURES if is_headline(measure, primary)]
    cut = {step: _only(evaluated, common, shown) for step, (_, evaluated) in sorted(found.items())}
    lines = []
    for step, evaluated in cut.items():
        changes = compare_with_baseline(cut[0], evaluated, experiment).changes
        estimates = {found.name: found for found in evaluated.estimates}
        lines.append(
            CheckpointRow(
                step=step,
                checkpoint=str(run.layout.checkpoint(step)) if run.layout.checkpoint(step).is_dir() else None,
                kl=estimates[KL].value,
                primary=estimates[primary],
                change=next(change for change in changes if change.name == primary) if step else None,
                estimates=evaluated.estimates,
            )
        )
    better = measure_named(primary).better
    best = pareto_front([(line.kl, line.primary.value) for line in lines], better) if better else [False] * len(lines)
    return CheckpointCurveResult(
        run=run.name,
        goal=experiment.goal,
        primary=primary,
        prompts=len(common),
        of_prompts=len(asked),
        samples_per_prompt=experiment.evaluation.samples_per_prompt,
        rows=tuple(replace(line, frontier=on) for line, on in zip(lines, best, strict=True)),
        rewarded_measures=measures_also_rewarded(experiment.reward.terms),
    )


def _only(evaluated: EvaluationData, prompt_ids: set[str], measures: Sequence[Measure]) -> EvaluationData:
    """The same over some of its prompts."""
    labelled = [row for row in evaluated.labelled if row.prompt_id in prompt_ids]
    table = label_matrix(labelled)
    return replace(
        evaluated,
        prompts={name: prompt for name, prompt in evaluated.prompts.items() if name in prompt_ids},
        samples=[sample for sample in evaluated.samples if sample.prompt_id in prompt_ids],
        labelled=labelled,
        estimates=tuple(estimate(measure, table) for measure in measures),
        partial=True,
    )
