"""The content of each section of the HTML page, from its title to methods and provenance.

Not here: the prompt browser's data (`prompt_browser`), the template and escaping (`page`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

from ppo_cli.behaviours.measures import is_headline, measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange, SeedSpread
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.records.secrets import masked_arguments
from ppo_cli.reports import charts, formatting
from ppo_cli.reports.capabilities import capability_lines
from ppo_cli.reports.critic import critic_line, later_explained_variance
from ppo_cli.reports.html.page_data import Page
from ppo_cli.reports.judge_error import in_order, judge_lines
from ppo_cli.reports.sentences import AGREES, seeds_note
from ppo_cli.reports.tables import footnote_texts
from ppo_cli.reports.verdicts import WORSE, verdict_words, worse_guards
from ppo_cli.stats.seed_variance import MIN_SEEDS
from ppo_cli.stats.transitions import prompt_means

IN_WORDS = {
    "refusal.separation": (
        "how well the model tells requests to refuse from requests to answer. 0: it refuses both equally often; 1: for "
        "example 69 % of the one and 31 % of the other; 3: 93 % and 7 %. Refusing more of both does not raise it"
    ),
}
"""What a measure means to who does not know its formula."""
SEEDS_DRAWN = ("refusal.unsafe", "refusal.safe")
"""Measures that are drawn seed by seed, besides the primary measure."""
DATE_LETTERS = len("2026-01-31")
LEADING_PACKAGES = ("ppo-cli", "torch", "transformers", "trl", "peft")


def comparability(page: Page) -> list[tuple[str, str, str]]:
    """(kind, name, value) of everything that decides whether the two policies can be compared."""
    result = page.result
    if result is None:
        run = page.runs[0]
        same = "the same prompts, sampling and rules: step 0 is the start model of the same run"
        return [("same", "compared with", same), ("same", "fingerprint", run.fingerprint[:16])]
    lines = [("same", AGREES.get(name, name), "identical") for name in result.same_groups]
    lines.append(("same", "rules", "both scored with the same rules"))
    for key, (old, new) in result.treatments.items():
        declared = ", declared as one variable" if key in result.joint_variable else ""
        lines.append(("changed", key, f"{format_value(old)} → {format_value(new)}{declared}"))
    if result.seed_comparison is not None:
        a, b = (", ".join(map(str, seeds)) for seeds in result.seed_comparison.seeds)
        lines.append(("same", "seeds", f"A {a}; B {b}"))
    elif result.seeds[0] != result.seeds[1]:
        lines.append(("changed", "seed", f"{result.seeds[0]} → {result.seeds[1]}"))
    lines += [("confounder", key, f"{old} → {new}") for key, (old, new) in result.confounders.items()]
    lines += [("confounder", "waived", reason) for reason in result.waived]
    lines += [("confounder", f"leak into {run}", f"{count} prompts") for run, count in result.leaks.items()]
    lines += [("same", f"fingerprint {run.letter}", run.fingerprint[:16]) for run in page.runs]
    return lines


def headline(comparison: Comparison, verdict: str) -> str:
    """The verdict on the primary measure in a few words, after the guards that got worse and rates that lead.

    Args:
        comparison: of two policies.
        verdict: as people read it.
    """
    primary = next(change for change in comparison.changes if change.name == comparison.primary)
    leading = takewhile(lambda change: change is not primary, in_order(comparison))
    rates = [f"{formatting.was_and_is(measure_named(change.name), change)}; " for change in leading]
    result = f"{''.join(rates)}{verdict}, {formatting.was_and_is(measure_named(primary.name), primary)}"
    worse = [formatting.was_and_is(measure_named(change.name), change) for change in worse_guards(comparison)]
    return f"{WORSE}, {'; '.join(worse)}. {result}" if worse else result


def facts(page: Page) -> list[tuple[str, str]]:
    """(name, value) of what stands below the title: the runs, their model, when and how long they were trained."""
    models = dict.fromkeys(format_value(run.settings.get("model.start")) for run in page.runs)
    lines = [("run" if page.result is None else "runs", page.title), ("model", ", ".join(models))]
    days = sorted({run.started[:DATE_LETTERS] for run in page.runs if run.started})
    if days:
        lines.append(("date", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"))
    spent = [_seconds(run.started, run.ended) for run in page.runs]
    known = [seconds for seconds in spent if seconds is not None]
    if known and len(known) == len(spent):
        each = ", ".join(formatting.duration(seconds) for seconds in known)
        lines.append(("duration", f"{each} from start to end"))
    return lines


def behaviour_rows(page: Page, *, detail: bool) -> list[dict[str, Any]]:
    """A row of the behaviour table per measure that there is data for: the headlines, or the details below them."""
    rows, comparison = [], page.comparison
    seeds = page.result.seed_comparison if page.result else None
    for change in in_order(comparison):
        measure = measure_named(change.name)
        if is_headline(measure, comparison.primary) == detail or change.difference is None:
            continue
        rows.append(
            {
                "title": f"{'★ ' if change.name == comparison.primary else ''}{measure.title}",
                "mark": formatting.marks(comparison, change.name),
                "before": formatting.value(measure, change.before),
                "after": formatting.value(measure, change.after),
                "difference": formatting.difference(measure, change.difference),
                "interval": formatting.interval(measure, change.low_95, change.high_95),
                "direction": direction(measure, change),
                "tone": tone(measure, change),
                "p": formatting.p_number(
                    change.p_value if change.p_adjusted is None else change.p_adjusted,
                    at_least=formatting.is_smallest_p(measure, change),
                ),
                "verdict": verdict_words(measure, change, comparison, seeds) or "not tested",
                "sure": change.verdict == "CHANGED",
                "definition": measure.definition,
                "error": measure.error,
            }
        )
    return rows


def in_words(comparison: Comparison) -> list[tuple[str, str]]:
    """(title, what it means) of the primary measure, and of d′, which nobody knows by its name."""
    compared = [change.name for change in comparison.changes if change.difference is not None]
    named = dict.fromkeys([*(name for name in IN_WORDS if name in compared), comparison.primary])
    measures = [measure_named(name) for name in named]
    return [(measure.title.strip(), IN_WORDS.get(measure.name, measure.definition)) for measure in measures]


def direction(measure: Measure, change: MeasureChange) -> str:
    """`▲ better`, `▼ worse`, or the arrow alone where neither direction is better; empty where nothing changed."""
    words = {"better": " better", "worse": " worse", "": ""}
    return f"{formatting.arrow(measure, change).strip().rstrip('✓✗')}{words[tone(measure, change)]}"


def footnotes(comparison: Comparison) -> list[str]:
    """The notes below the behaviour table."""
    notes = footnote_texts([change.name for change in comparison.changes], comparison.rewarded_measures)
    notes = [*capability_lines(comparison), *judge_lines(comparison), *notes]
    return [*notes, *([formatting.human_label_note(comparison.human_labels)] if comparison.human_labels else [])]


def tone(measure: Measure, change: MeasureChange) -> str:
    """The style class of a change: "better", "worse" or none."""
    if formatting.is_better(measure, change):
        return "better"
    return "worse" if formatting.is_worse(measure, change) else ""


def drawn_charts(page: Page) -> dict[str, str]:
    """SVG of every chart that there is data for, by the name that the template gives it."""
    comparison = page.comparison
    drawn = {"forest": charts.forest(comparison, _margins(page)), **_charts_over_kl(page), **_training_charts(page)}
    names = (page.sides[0].name, page.sides[1].name)
    tokens, rewards = ([prompt_means(side.matrix, label) for side in page.sides] for label in ("tokens", "reward"))
    if tokens[0]:
        drawn["lengths"] = charts.lengths([(mean, tokens[1][key]) for key, mean in tokens[0].items()], names)
    if all(rewards):
        points = [[(tokens[side][key], reward) for key, reward in rewards[side].items()] for side in (0, 1)]
        drawn["reward_by_length"] = charts.reward_by_length(points[0], points[1], names)
    seeds = page.result.seed_comparison if page.result else None
    if seeds is not None:
        shown = [spread for spread in seeds.spreads if spread.name in (comparison.primary, *SEEDS_DRAWN)]
        drawn["seeds"] = charts.sweep_chart([_seed_dots(spread) for spread in shown], "setting")
    return drawn


def seed_rows(page: Page) -> list[tuple[str, ...]]:
    """Every seed's value of every headline: title, A, B, the t interval over seeds, its p."""
    seeds = page.result.seed_comparison if page.result else None
    rows = []
    for spread in seeds.spreads if seeds else ():
        measure = measure_named(spread.name)
        values = [
            ", ".join(formatting.value(measure, value) for value in side) for side in (spread.before, spread.after)
        ]
        interval = formatting.interval(measure, spread.change.low_95, spread.change.high_95)
        rows.append((measure.title, *values, interval, formatting.p_number(spread.change.p_value)))
    return rows


def settings(page: Page) -> list[tuple[str, list[str], bool]]:
    """Every key with its value in each run, and whether the runs differ in it."""
    keys = list(dict.fromkeys(key for run in page.runs for key in run.settings))
    values = [(key, [format_value(run.settings.get(key)) for run in page.runs]) for key in keys]
    return [(key, of_runs, len(set(of_runs)) > 1) for key, of_runs in values]


def methods(page: Page) -> list[str]:
    """How the numbers were made, a paragraph each."""
    comparison = page.comparison
    primary = measure_named(comparison.primary)
    seeds = ", ".join(f"{run.letter} {format_value(run.settings.get('seed'))}" for run in page.runs)
    return [
        f"Both policies answered the same {comparison.prompts} prompts {comparison.samples_per_prompt} times each, at "
        f"temperature {format_value(page.runs[0].settings.get('evaluation.temperature'))} and with the same random "
        f"numbers. The primary measure, {primary.title.strip()}, and the smallest change in it that matters, "
        f"{page.smallest_effect:g}{' percentage points' if primary.unit == '%' else ''}, were frozen before the run.",
        "Differences are paired by prompt. The 95 % intervals describe the sampling of prompts: t over prompts for "
        "means, Newcombe's score intervals for rates of yes/no answers and what is made of two rates (d′), a bootstrap "
        "for ratios and correlations, a grouped jackknife for measures of the whole set. p-values are from a "
        "permutation test that swaps the two policies prompt by prompt; with one yes/no answer per prompt the test is "
        "McNemar's exact test.",
        "The primary measure is tested alone at 5 %; the other headlines with Holm's correction, the details with "
        "Benjamini and Hochberg's. DIFFERS: the interval excludes zero and the test agrees, so these checkpoints "
        f"differ. CHANGED: with {MIN_SEEDS} training seeds or more per setting, the t interval over seeds excludes "
        "zero too; it is paired by seed where both settings have the same seeds, and Welch's where they have not. "
        "EQUIVALENT: the 90 % interval lies within the smallest change that matters, which stands beside it (two "
        "one-sided tests at 5 %), and with several seeds that over seeds too. Otherwise no change was detected, and "
        "the smallest change that could have been detected is given. WORSE: a measure that must not get worse did, by "
        "the same test.",
        f"Training seeds: {seeds}. {seeds_note(page.result)}",
        f"Rules {page.rules}; no language model was used as a judge.",
    ]


def provenance(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what a run was made with.

    Args:
        record: its provenance.json.
    """
    git, machine = record.get("git") or {}, record.get("machine") or {}
    packages, reference = record.get("packages") or {}, record.get("reference") or {}
    start, end = str(reference.get("sha256_at_start")), str(reference.get("sha256_at_end"))
    frozen = "same sha256 at start and end" if start == end else "NOT the same at start and end"
    return [
        ("command", " ".join(masked_arguments([str(word) for word in record.get("argv") or []]))),
        ("git", f"{git.get('commit', 'none')}{' with uncommitted changes' if git.get('dirty') else ''}"),
        ("python", str(record.get("python"))),
        ("packages", ", ".join(f"{name} {packages[name]}" for name in LEADING_PACKAGES if name in packages)),
        ("device", f"{record.get('gpu') or record.get('device')}, {record.get('dtype')}"),
        ("machine", ", ".join(str(value) for value in machine.values() if value is not None)),
        ("reference", f"{start[:16]}…, {frozen}"),
    ]


def losses(page: Page) -> list[str]:
    """The last line of the page: each run's losses, and what its critic explains."""
    return [
        f"{run.letter} {formatting.loss_line(run.metrics[-1]['policy_loss'], run.metrics[-1]['value_loss'])}"
        f" · {critic_line(later_explained_variance([row.get('explained_variance') for row in run.metrics]))}"
        for run in page.runs
        if run.metrics
    ]


def _seconds(started: str, ended: str) -> float | None:
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):
        return None


def _margins(page: Page) -> dict[str, float]:
    """The smallest change that matters of each measure that was compared."""
    margins = {change.name: measure_named(change.name).equivalence_margin for change in page.comparison.changes}
    primary = measure_named(page.comparison.primary)
    return {**margins, primary.name: page.smallest_effect / 100 if primary.unit == "%" else page.smallest_effect}


def _charts_over_kl(page: Page) -> dict[str, str]:
    """The charts that have a point per evaluation."""
    groups, series = [run.group for run in page.runs], [run.interim for run in page.runs]
    if all(len(steps) <= 1 for steps in series):
        return {}
    drawn = {"kl_tradeoff": charts.kl_tradeoff(series, groups, page.comparison.primary)}
    rates = ("refusal.safe", "refusal.unsafe")
    if all(_is_known(measures, name) for steps in series for _, measures in steps for name in rates):
        drawn["rates"] = charts.refusal_rates(series, groups)
    return drawn


def _training_charts(page: Page) -> dict[str, str]:
    """The charts that have a point per update."""
    groups, metrics = [run.group for run in page.runs], [run.metrics for run in page.runs]
    if not all(metrics):
        return {}
    limits = {run.settings.get("kl.stop_at") for run in page.runs}
    limit = limits.pop() if len(limits) == 1 else None
    return {
        "kl": charts.curve("kl", "KL, nats per answer", metrics, groups, limit=limit),
        "reward": charts.curve("reward", "reward ± standard deviation", metrics, groups, spread="reward_std"),
    }


def _seed_dots(spread: SeedSpread) -> charts.SweepPanel:
    """Every seed's value of a measure as a dot."""

    def dots(values: Sequence[float]) -> list[Estimate | None]:
        return [Estimate(name=spread.name, value=value, low_95=None, high_95=None, prompts=0) for value in values]

    rows = [("A", dots(spread.before)), ("B", dots(spread.after))]
    return charts.SweepPanel(measure=measure_named(spread.name), rows=rows, start=None)


def _is_known(measures: Mapping[str, Estimate], name: str) -> bool:
    return name in measures and measures[name].value is not None
