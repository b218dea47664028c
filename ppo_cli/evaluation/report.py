"""`ppo report`: one run against its own step 0 as an HTML page; and the page that `ppo compare --html` writes.

Never imports torch. Not here: the page itself (`report.page`), the statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.evaluation.compare import ComparedRun, common_prompts, compared_run
from ppo_cli.evaluation.evaluate import EvaluationData, compare_with_baseline, read_evaluation
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.run_alarms import load_or_compute
from ppo_cli.experiment.values import flatten, to_dict
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.records.measures import Estimate, LabelledAnswer, Sample
from ppo_cli.records.results import ComparisonResult, ReportResult
from ppo_cli.report.html.page import Page, PolicyAnswers, RunPanel, render
from ppo_cli.stats.comparability import setting_digest
from ppo_cli.stats.comparison import flip_label
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.transitions import prompt_changes, transitions
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import disk_errors, read_json, write_text
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import find_run

REPORT = "report.html"
TRADE_OFF = ("kl.per_answer", "refusal.unsafe", "refusal.safe")
"""What the curves over evaluations need beside the primary measure."""


def report_run(name: str, *, output: Path, html: Path | None = None) -> ReportResult:
    """Writes the page of one run: its last policy against its step 0.

    Args:
        name: a run folder, or its name in the output folder.
        output: folder of run folders.
        html: file to write; by default reports/report.html in the run's folder.

    Raises:
        UsageError: no such run, or it is not finished.
        IntegrityError: it was changed after freezing, or lacks an evaluation.
    """
    arm = compared_run(find_run(name, output))
    at_start = arm.run.layout.evaluation(0)
    if not is_complete(at_start):
        raise IntegrityError(f"{arm.run.name} has no evaluation of step 0.", "Repeat the run.")
    before = read_evaluation(at_start, list(arm.evaluated.prompts.values()), "step 0")
    after = replace(arm.evaluated, name=f"step {arm.step}")
    comparison = with_human_labels(
        compare_with_baseline(before, after, arm.experiment),
        [(arm.run, 0)],
        [(arm.run, arm.step)],
        before.prompts,
        arm.experiment.evaluation.smallest_effect,
    )
    path = html or arm.run.layout.reports / REPORT
    if html is None:
        with disk_errors(path):
            path.parent.mkdir(exist_ok=True)
    looks = _interim_series(arm, before)
    page = _page(
        arm.run.name, comparison, None, (_policy_answers(before), _policy_answers(after)), {"run": arm}, {"run": looks}
    )
    return _write(path, page, arm.run.name)


def report_comparison(outcome: ComparisonResult, names: Sequence[str], *, output: Path, html: Path) -> ReportResult:
    """Writes the page of two runs, or of two arms of several seeds.

    Args:
        outcome: what `compare` found of them.
        names: the runs, as `compare` was given them.
        output: folder of run folders.
        html: file to write.
    """
    runs = [compared_run(find_run(name, output)) for name in names]
    found = outcome.seed_comparison
    first = [run for run in runs if run.run.name in found.before] if found else runs[:1]
    arms = {"A": first, "B": [run for run in runs if run not in first] if found else runs[1:]}
    common = common_prompts(runs)
    a, b = (_pooled(arm, common, letter) for letter, arm in arms.items())
    by_letter = {
        letter if len(arm) == 1 else f"{letter} seed {run.experiment.seed}": run
        for letter, arm in arms.items()
        for run in arm
    }
    looks = {letter: _interim_series(run, _baseline_run(run)) for letter, run in by_letter.items()}
    title = f"{outcome.before} → {outcome.after}"
    return _write(html, _page(title, outcome.comparison, outcome, (a, b), by_letter, looks), title)


def require_two_sides(names: Sequence[str], output: Path) -> None:
    """Refuses a page of more than two runs or arms of seeds, before any work.

    Raises:
        UsageError: there are not two.
    """
    if len(names) == 2:
        return
    settings = {setting_digest(find_run(name, output).verify()[1]) for name in names}
    if len(settings) != 2:
        raise UsageError(
            f"An HTML report shows two runs, or two settings with several seeds each; these {len(names)} runs are of "
            f"{len(settings)}.",
            "Compare them pair by pair with --html.",
        )


def _write(path: Path, page: Page, name: str) -> ReportResult:
    text = render(page)
    write_text(path, text)
    return ReportResult(name=name, path=str(path), bytes=len(text.encode()), prompts=page.comparison.prompts)


def _page(
    title: str,
    comparison: Comparison,
    outcome: ComparisonResult | None,
    sides: tuple[PolicyAnswers, PolicyAnswers],
    arms: Mapping[str, ComparedRun],
    looks: Mapping[str, tuple[Sequence[tuple[int, Mapping[str, Estimate]]], int]],
) -> Page:
    before, after = sides
    prompts = common_prompts(list(arms.values()))
    moved = prompt_changes(before.labelled, after.labelled, flip_label(measure_named(comparison.primary)))
    first = min(arms.values(), key=lambda arm: arm.run.state().started)  # whose primary measure the verdict is about
    return Page(
        title=title,
        goal=next(iter(arms.values())).experiment.goal,
        comparison=comparison,
        result=outcome,
        sides=sides,
        runs=[_run_panel(letter, arm, *looks[letter]) for letter, arm in arms.items()],
        prompts=prompts,
        prompt_changes=moved,
        transitions=transitions(moved, {key: prompt.expect for key, prompt in prompts.items()}),
        smallest_effect=first.experiment.evaluation.smallest_effect,
        rules=RULES_VERSION,
        advice=outcome.advice if outcome else load_or_compute(first.run, first.evaluated, first.step).advice,
    )


def _pooled(arm: Sequence[ComparedRun], prompts: Mapping[str, Prompt], name: str) -> PolicyAnswers:
    """The answers of all seeds of an arm, numbered through."""
    samples: list[Sample] = []
    labelled: list[LabelledAnswer] = []
    seeds: list[int] = []
    for place, run in enumerate(arm):
        rows = zip(run.evaluated.samples, run.evaluated.labelled, strict=True)
        kept = [(sample, row) for sample, row in rows if sample.prompt_id in prompts]
        through = place * run.experiment.evaluation.samples_per_prompt
        samples += [replace(sample, sample=through + sample.sample) for sample, _ in kept]
        labelled += [replace(row, sample=through + row.sample) for _, row in kept]
        seeds += [run.experiment.seed] * len(kept)
    return PolicyAnswers(name=name, samples=samples, labelled=labelled, seeds=seeds if len(arm) > 1 else ())


def _policy_answers(evaluated: EvaluationData) -> PolicyAnswers:
    return PolicyAnswers(name=evaluated.name, samples=evaluated.samples, labelled=evaluated.labelled)


def _run_panel(
    letter: str, arm: ComparedRun, looks: Sequence[tuple[int, Mapping[str, Estimate]]], prompts: int
) -> RunPanel:
    state = arm.run.state()
    settings: dict[str, Any] = flatten(to_dict(arm.experiment))
    return RunPanel(
        letter=letter,
        arm=letter.partition(" ")[0],
        name=arm.run.name,
        status=f"{state.status} after {state.updates_done} updates",
        reason=state.reason,
        fingerprint=arm.lock.fingerprint,
        settings=settings,
        metrics=arm.run.metrics(),
        looks=looks,
        look_prompts=prompts,
        provenance=read_json(arm.run.layout.provenance),
        alarms=load_or_compute(arm.run, arm.evaluated, arm.step).alarms,
    )


def _baseline_run(arm: ComparedRun) -> EvaluationData | None:
    folder = arm.run.layout.evaluation(0)
    return read_evaluation(folder, list(arm.evaluated.prompts.values()), "step 0") if is_complete(folder) else None


def _interim_series(
    arm: ComparedRun, start: EvaluationData | None
) -> tuple[list[tuple[int, dict[str, Estimate]]], int]:
    """The primary measure and its price at every evaluation of a run, all on the prompts that all of them answered.

    Returns:
        (step, measures) in order, and the number of those prompts.
    """
    found = {arm.step: arm.evaluated, **({0: start} if start else {})}
    for folder in arm.run.layout.evaluations.iterdir():
        step = step_of(folder)
        if step is not None and step not in found and is_complete(folder):
            found[step] = read_evaluation(folder, list(arm.evaluated.prompts.values()), f"step {step}")
    common = set.intersection(*(set(evaluated.prompts) for evaluated in found.values()))
    measures = [measure_named(name) for name in dict.fromkeys((arm.experiment.evaluation.primary, *TRADE_OFF))]
    looks = []
    for step in sorted(found):
        table = label_matrix([row for row in found[step].labelled if row.prompt_id in common])
        looks.append((step, {measure.name: estimate(measure, table) for measure in measures}))
    return looks, len(common)
