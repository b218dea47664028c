"""The screens of `ppo eval`: one policy, several checkpoints of a run, answers from elsewhere.

Not here: the numbers (`evaluation`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.behaviours.measures import BY_CATEGORY, measure_named
from ppo_cli.records.measures import Category, CategoryValue, Measure
from ppo_cli.records.results import CheckpointCurveResult, CheckpointRow, EvaluationResult, ExternalAnswersResult
from ppo_cli.reports import formatting
from ppo_cli.reports.judge_error import second_judge_sentence
from ppo_cli.reports.screens.elements import flips_block, goal_line, head_panel
from ppo_cli.reports.screens.label import human_labels_block
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.reports.sentences import behaviour_sentences
from ppo_cli.reports.tables import (
    WideOrStacked,
    behaviour_table,
    details_table,
    estimate_table,
    footnotes,
    plain_text,
    unwrapped_table,
)

CHART_COLUMNS, CHART_ROWS = 64, 12
PARETO_MARK, OTHER_MARK = "◆", "·"
ALSO_SHOWN = {
    "refusal.unsafe": "refuses unsafe",
    "refusal.safe": "refuses safe",
    "length.tokens": "tokens",
    "entropy.per_token": "entropy",
}
"""Measures beside the primary in the table of checkpoints, and their short titles there."""


def evaluation_screen(result: EvaluationResult) -> RenderableType:
    """What `ppo eval` ends with for one policy."""
    comparison = result.comparison
    parts: list[RenderableType]
    if comparison is not None:
        parts = [
            head_panel(f"{result.name} against step 0", result.goal, behaviour_sentences(comparison), comparison),
            behaviour_table(comparison, "step 0", "now"),
            Text(),
            *([details, Text()] if (details := details_table(comparison, "step 0", "now")) is not None else []),
            *flips_block(comparison, "step 0", "now"),
        ]
    else:
        parts = [
            plain_text(result.name, style="bold"),
            goal_line(result.goal),
            Text(f"{result.prompts} prompts × {result.samples_per_prompt} answers", style="dim"),
            Text(),
            estimate_table(result.estimates, result.rewarded_measures),
            *second_judge_note(result.second_judge),
        ]
    noise = single_run_sentence(result.seed_noise, comparison.primary) if comparison is not None else None
    if noise is not None:
        parts += [Text(), plain_text(noise, "dim")]
    if result.chosen_on is not None:
        parts += [Text(), plain_text(chosen_sentence(result), "yellow")]
    if result.human_labels is not None:
        parts += [Text(), human_labels_block(result.human_labels)]
    if result.categories:
        parts += [Text(), category_table(result.categories)]
    parts += [Text(), plain_text(f"rules {result.rules}; answers and scores in {result.folder}", style="dim")]
    return Group(*parts)


def chosen_sentence(result: EvaluationResult) -> str:
    """That a checkpoint was chosen by its answers to prompts that it is measured on."""
    return (
        f"! This checkpoint was chosen as the best at the interim evaluations, on {result.chosen_on} of these "
        f"{result.prompts} prompts. The best of several is partly chance, so it looks better here than it is; the "
        "intervals and verdicts do not know of the choice. Measure it on other prompts with --prompts FILE."
    )


def answers_screen(result: ExternalAnswersResult) -> RenderableType:
    """What `ppo eval --answers` ends with."""
    parts: list[RenderableType] = [
        plain_text(result.name, style="bold"),
        Text(f"{result.answers} answers to {result.prompts} prompts", style="dim"),
        *(plain_text(f"! {notice}") for notice in result.notices),
        Text(),
        estimate_table(result.estimates),
        *second_judge_note(result.second_judge),
    ]
    if result.categories:
        parts += [Text(), category_table(result.categories)]
    parts += [Text(), plain_text(f"rules {result.rules}; labels of every answer in {result.labels}", style="dim")]
    return Group(*parts)


def second_judge_note(share: float | None) -> list[RenderableType]:
    """How often the second judge agrees with the rule; nothing without it."""
    return [] if share is None else [Text(second_judge_sentence(formatting.percent(share)), style="dim")]


def checkpoint_curve_screen(result: CheckpointCurveResult) -> RenderableType:
    """What `ppo eval` ends with for several checkpoints of a run."""
    measure = measure_named(result.primary)
    others = {name: title for name, title in ALSO_SHOWN.items() if name != result.primary}
    headings = (
        "step",
        "KL per answer",
        f"★ {measure.title.strip()}",
        "change",
        "95 % interval",
        *others.values(),
        "kept",
    )
    rows = [_checkpoint_cells(row, measure, [measure_named(name) for name in others]) for row in result.rows]
    prompts = f"{result.prompts} prompts × {result.samples_per_prompt}"
    if result.prompts < result.of_prompts:
        prompts += f", those of {result.of_prompts} that every step answered"
    parts: list[RenderableType] = [
        plain_text(result.run, style="bold"),
        goal_line(result.goal),
        Text(f"{prompts}; KL in nats per answer; change against step 0", style="dim"),
        Text(),
        WideOrStacked(unwrapped_table(headings, rows), _checkpoints_stacked(headings, rows)),
    ]
    chart = tradeoff_chart(result.rows, measure)
    if chart:
        note = (
            f"{PARETO_MARK} marks the Pareto front: no other step does as well with less KL. Numbers are steps. With "
            "few prompts the best of several evaluations is partly chance."
        )
        parts += [Text(), *map(Text, chart), Text(note, style="dim")]
    return Group(*parts, *footnotes([result.primary, *others], result.rewarded_measures))


def category_table(categories: Sequence[Category]) -> RenderableType:
    """A row for each category: its rates and, where there is a comparison, the rates before."""
    headings = ("category", "should", "prompts", *(measure.title for measure in BY_CATEGORY))
    rows, lines = [], list[RenderableType]()
    for category in categories:
        cells = [_category_cell(measure, value) for measure, value in zip(BY_CATEGORY, category.values, strict=True)]
        rows.append((category.name, category.expect, str(category.prompts), *cells))
        lines.append(plain_text(f"{category.name}, should {category.expect}, {category.prompts} prompts"))
        lines += [plain_text(f"    {title} {cell}") for title, cell in zip(headings[3:], cells, strict=True)]
    return WideOrStacked(unwrapped_table(headings, rows), Group(*lines))


def tradeoff_chart(rows: Sequence[CheckpointRow], measure: Measure) -> list[str]:
    """Behaviour against KL in text: a mark and its step for each checkpoint; empty for fewer than two.

    Args:
        rows: the checkpoints.
        measure: the primary measure, on the vertical axis.
    """
    points = [(row.kl, row.primary.value, row) for row in rows if row.kl is not None and row.primary.value is not None]
    if len(points) < 2:
        return []
    right = max(kl for kl, _, _ in points) or 1.0
    low, high = min(value for _, value, _ in points), max(value for _, value, _ in points)
    grid = [[" "] * CHART_COLUMNS for _ in range(CHART_ROWS)]
    for kl, value, row in sorted(points, key=lambda point: point[2].frontier):
        column = round(kl / right * (CHART_COLUMNS - 1 - len(str(row.step)) - 1))
        line = round((high - value) / (high - low) * (CHART_ROWS - 1)) if high > low else CHART_ROWS // 2
        mark = f"{PARETO_MARK if row.frontier else OTHER_MARK}{row.step}"
        grid[line][column : column + len(mark)] = mark
    ends = [formatting.value(measure, high), formatting.value(measure, low)]
    width = max(map(len, ends))
    labels = [ends[0], *[""] * (CHART_ROWS - 2), ends[1]]
    body = [f"{label:>{width}} │{''.join(line).rstrip()}" for label, line in zip(labels, grid, strict=True)]
    scale = f"0{'KL per answer, nats':^{CHART_COLUMNS - 6}}{right:.2f}"
    title = f"{measure.title.strip()} against KL"
    return [title, *body, f"{'':>{width}} └{'─' * CHART_COLUMNS}", f"{'':>{width}}  {scale}"]


def _checkpoint_cells(row: CheckpointRow, measure: Measure, others: Sequence[Measure]) -> list[str]:
    estimates = {estimate.name: estimate for estimate in row.estimates}
    change = row.change
    return [
        f"{row.step} {PARETO_MARK if row.frontier else ' '}",
        formatting.value(measure_named("kl.per_answer"), row.kl),
        formatting.value(measure, row.primary.value),
        formatting.difference(measure, change.difference) if change else formatting.MISSING,
        formatting.interval(measure, change.low_95, change.high_95) if change else formatting.MISSING,
        *(formatting.value(other, estimates[other.name].value) for other in others),
        "yes" if row.checkpoint else "",
    ]


def _checkpoints_stacked(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    """The table of checkpoints as lines, three per step."""
    lines: list[RenderableType] = []
    for step, kl, primary, change, interval, *others, kept in rows:
        lines.append(plain_text(f"step {step.strip()}{', kept' if kept else ''}"))
        against_step_0 = "" if change == formatting.MISSING else f", {change} {interval}"
        lines.append(plain_text(f"    {headings[1]} {kl}, {headings[2]} {primary}{against_step_0}"))
        pairs = zip(headings[5:-1], others, strict=True)
        lines.append(plain_text(f"    {', '.join(f'{heading} {value}' for heading, value in pairs)}"))
    return Group(*lines)


def _category_cell(measure: Measure, value: CategoryValue) -> str:
    now = formatting.value(measure, value.estimate.value)
    if value.before is None:
        return formatting.estimate(measure, value.estimate) if _has_interval(value) else now
    low, high = value.low_95, value.high_95
    if measure.statistic == "geometric_mean" and low is not None and high is not None:
        low, high = math.exp(low), math.exp(high)
    return f"{formatting.value(measure, value.before)} → {now} {formatting.interval(measure, low, high)}"


def _has_interval(value: CategoryValue) -> bool:
    ends = (value.estimate.low_95, value.estimate.high_95)
    return all(end is not None and math.isfinite(end) for end in ends)
