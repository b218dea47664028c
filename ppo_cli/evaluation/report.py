"""`ppo report`: one run against its own step 0 as an HTML page; and the page that `ppo compare --html` writes.

Never imports torch. Not here: the page itself (`reports.html`), the statistics (`stats`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation.compared_runs import ComparedRun, common_prompts, compared_run
from ppo_cli.evaluation.evaluation_data import EvaluationData, compare_with_baseline
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.judge_error import with_judge_error
from ppo_cli.evaluation.known_seed_noise import known_seed_noise
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.measures import Estimate, LabelledAnswer
from ppo_cli.records.results import ComparisonResult, ReportResult
from ppo_cli.reports.html.page_data import Page, PolicyAnswers, RunPanel
from ppo_cli.stats.comparison import flip_label
from ppo_cli.stats.label_matrix import common_matrices, pool_seeds
from ppo_cli.stats.transitions import prompt_changes, transitions
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import disk_errors, may_write, require_no_link, write_text
from ppo_cli.store.runs import Run

REPORT = "report.html"
OTHER_FILE = "Name another file with --html FILE."
TRADE_OFF = ("kl.per_answer", "refusal.unsafe", "refusal.safe")
"""Measures that the curves over evaluations show beside the primary measure."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSeries:
    """A few measures at every evaluation of a run, all on the same prompts."""

    by_step: Sequence[tuple[int, Mapping[str, Estimate]]]
    """(step, measures by name), in order."""
    prompts: int
    """Prompts that every evaluation answered."""


def report(run: str | Path | Run, *, html: str | Path | None = None, runs_dir: str | Path = "runs") -> ReportResult:
    """Writes the HTML page of one run: its last policy against its step 0.

    Args:
        run: a run folder, or its name in `runs_dir`.
        html: file to write; by default reports/report.html in the run's folder, or where that may not be written
            RUN-report.html in the current folder.
        runs_dir: folder of run folders.

    Raises:
        UsageError: no such run.
        IntegrityError: it is not finished, was changed after freezing, or lacks an evaluation.

    Example:
        >>> report("runs/refusal-kl0.15-s1-7f3a9c").path
        'runs/refusal-kl0.15-s1-7f3a9c/reports/report.html'
    """
    compared = compared_run(run, Path(runs_dir))
    layout = compared.records.layout
    if not is_complete(layout.evaluation(0)):
        raise IntegrityError(f"{compared.name} has no evaluation of step 0.", "Repeat the run.")
    before, after = compared.records.evaluation(0), compared.evaluated
    comparison = with_human_labels(
        compare_with_baseline(before, after, compared.experiment),
        [before],
        [after],
        before.prompts,
        compared.experiment.evaluation.smallest_effect,
    )
    comparison = with_judge_error(comparison, [before], [after])
    path = Path(html) if html is not None else _default_page(compared)
    page = _page(compared.name, comparison, None, (_answers(before), _answers(after)), {"run": compared})
    noise = known_seed_noise(compared.run, compared.lock)
    written = _write(path, replace(page, seed_noise=noise), compared.name)
    return replace(written, primary=comparison.primary, seed_noise=noise)


def _default_page(compared: ComparedRun) -> Path:
    """The page in the run's folder; one in the current folder where the run may not be written."""
    reports = compared.records.layout.reports
    if not may_write(reports):
        return Path(f"{compared.name}-{REPORT}")
    with disk_errors(reports, OTHER_FILE):
        require_no_link(reports)
        reports.mkdir(exist_ok=True)
    return reports / REPORT


def write_comparison_page(
    result: ComparisonResult, before: Sequence[ComparedRun], after: Sequence[ComparedRun], html: Path
) -> ReportResult:
    """Writes the HTML page of two runs, or of two arms of several seeds.

    Args:
        result: the comparison of both arms.
        before: the runs of arm A, one per seed.
        after: the runs of arm B.
        html: file to write.
    """
    arms = {"A": before, "B": after}
    prompts = common_prompts([*before, *after])
    a, b = (_pooled_answers(letter, arm, prompts) for letter, arm in arms.items())
    by_letter = {
        letter if len(arm) == 1 else f"{letter} seed {run.experiment.seed}": run
        for letter, arm in arms.items()
        for run in arm
    }
    title = f"{result.before} → {result.after}"
    return _write(html, _page(title, result.comparison, result, (a, b), by_letter), title)


def _write(path: Path, page: Page, name: str) -> ReportResult:
    from ppo_cli.reports.html.page import render

    text = render(page)
    with disk_errors(path, OTHER_FILE):
        write_text(path, text)
    return ReportResult(name=name, path=str(path), bytes=len(text.encode()), prompts=page.comparison.prompts)


def _page(
    title: str,
    comparison: Comparison,
    result: ComparisonResult | None,
    sides: tuple[PolicyAnswers, PolicyAnswers],
    runs: Mapping[str, ComparedRun],
) -> Page:
    before, after = sides
    prompts = common_prompts(list(runs.values()))
    changes = prompt_changes(before.matrix, after.matrix, flip_label(measure_named(comparison.primary)))
    first = min(runs.values(), key=lambda run: run.records.state.started)  # its primary measure decides the verdict
    return Page(
        title=title,
        experiment=_experiment_name(list(runs.values())),
        goal=next(iter(runs.values())).experiment.goal,
        comparison=comparison,
        result=result,
        sides=sides,
        runs=[_run_panel(letter, run) for letter, run in runs.items()],
        prompts=prompts,
        prompt_changes=changes,
        transitions=transitions(changes, {key: prompt.expect for key, prompt in prompts.items()}),
        smallest_effect=first.experiment.evaluation.smallest_effect,
        rules=RULES_VERSION,
        advice=result.advice if result else first.findings.advice,
    )


def _experiment_name(runs: Sequence[ComparedRun]) -> str:
    """The name of the experiment; those of all runs where they differ."""
    return " and ".join(dict.fromkeys(run.experiment.name for run in runs))


def _answers(evaluated: EvaluationData) -> PolicyAnswers:
    return PolicyAnswers(name=evaluated.name, labelled=evaluated.labelled, matrix=evaluated.matrix)


def _pooled_answers(name: str, arm: Sequence[ComparedRun], prompts: Mapping[str, Prompt]) -> PolicyAnswers:
    """The answers of all seeds of an arm to these prompts, numbered from the first seed's to the last's."""
    labelled: list[LabelledAnswer] = []
    seeds: list[int] = []
    for index, run in enumerate(arm):
        rows = [row for row in run.evaluated.labelled if row.prompt.id in prompts]
        offset = index * run.experiment.evaluation.samples_per_prompt
        labelled += [replace(row, sample=replace(row.sample, index=offset + row.sample.index)) for row in rows]
        seeds += [run.experiment.seed] * len(rows)
    (matrices,) = common_matrices([run.evaluated.matrix.only(prompts) for run in arm])
    return PolicyAnswers(name=name, labelled=labelled, matrix=pool_seeds(matrices), seeds=seeds if len(arm) > 1 else ())


def _run_panel(letter: str, run: ComparedRun) -> RunPanel:
    state = run.records.state
    settings: dict[str, Any] = flatten(to_dict(run.experiment))
    series = _interim_series(run)
    return RunPanel(
        letter=letter,
        group=letter.partition(" ")[0],
        name=run.name,
        status=f"{state.status.replace('_', ' ')} after {state.updates_done} updates",
        reason=state.reason,
        fingerprint=run.lock.fingerprint,
        settings=settings,
        metrics=run.records.metrics,
        interim=series.by_step,
        interim_prompts=series.prompts,
        provenance=run.records.provenance,
        alarms=run.findings.alarms,
        started=state.started,
        ended=state.ended or "",
    )


def _interim_series(run: ComparedRun) -> EvaluationSeries:
    """The primary measure and its trade-off at every evaluation of a run, on the prompts that all of them answered."""
    evaluations = {step: run.records.evaluation(step) for step in run.records.evaluated_steps()}
    common = set.intersection(*(set(evaluated.prompts) for evaluated in evaluations.values()))
    measures = [measure_named(name) for name in dict.fromkeys((run.experiment.evaluation.primary, *TRADE_OFF))]
    by_step = []
    for step, evaluated in evaluations.items():
        estimates = evaluated.only(common).estimates(measures)
        by_step.append((step, {estimate.name: estimate for estimate in estimates}))
    return EvaluationSeries(by_step=by_step, prompts=len(common))
