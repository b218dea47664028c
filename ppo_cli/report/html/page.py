"""The HTML page of a run or of two runs: one file that loads nothing and runs one script of its own.

What a model or a user wrote is hostile here. The page carries it twice at most: as escaped text, and in a JSON island
whose `<`, `>` and `&` are escaped, from which the script makes text nodes. A content-security policy allows that one
script, by its sha256, and no request at all. The same run folders give the same bytes.

Not here: reading runs (`commands.report`), the charts (`charts`), numbers computed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from ppo_cli.behaviours.measures import MEASURES, is_headline, measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.answers import Prompt
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.comparisons import Comparison, Frequency, MeasureChange, PromptChange, SeedSpread, Transitions
from ppo_cli.records.measures import Better, Estimate, LabelledAnswer, Measure, Sample
from ppo_cli.records.results import ComparisonResult
from ppo_cli.report import charts, formatting
from ppo_cli.report.screens.shared import (
    AGREES,
    ONE_SEED,
    behaviour_sentences,
    comparison_sentences,
    flip_verb,
    flips_line,
)
from ppo_cli.report.seed_table import SEVERAL_SEEDS_NOTE
from ppo_cli.report.tables import footnote_texts, verdict_words
from ppo_cli.stats.transitions import prompt_means

FOLDER = Path(__file__).parent
"""The page's template, style sheet and script."""
FIRST_FLIPS = 6
"""Flips that stand on the page itself, and so on paper; all others are in the browser of prompts."""
SEEDS_DRAWN = ("refusal.unsafe", "refusal.safe")
"""What is drawn seed by seed, besides the primary measure."""
EXCERPT = 600
"""Letters of an answer shown there."""
UNSEEN = ("Cc", "Cf", "Cs", "Co")
"""Unicode categories of characters that steer and are not seen."""
LEADING_PACKAGES = ("ppo-cli", "torch", "transformers", "trl", "peft")

InterimSeries = Sequence[tuple[int, Mapping[str, Estimate]]]


@dataclass(frozen=True, kw_only=True)
class PolicyAnswers:
    """One of the two policies that a page compares."""

    name: str
    """A, B, or the step."""
    samples: Sequence[Sample]
    labelled: Sequence[LabelledAnswer]
    """The same answers in the same order."""
    seeds: Sequence[int] = ()
    """The training seed behind each of them, where there are several."""


@dataclass(frozen=True, kw_only=True)
class RunPanel:
    """What a page tells of one run."""

    letter: str
    """What the page calls it."""
    arm: str
    """What charts call it; the seeds of an arm share it."""
    name: str
    status: str
    reason: str | None
    fingerprint: str
    settings: Mapping[str, Any]
    """Every key of its frozen config."""
    metrics: Sequence[Mapping[str, Any]]
    looks: InterimSeries
    """A few measures at each evaluation, all on the same prompts."""
    look_prompts: int
    provenance: Mapping[str, Any]
    alarms: Sequence[Alarm] = ()
    """What its records show signs of."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """All that is on a page."""

    title: str
    goal: str
    comparison: Comparison
    result: ComparisonResult | None
    """Where two runs, or two arms of several seeds, are compared; None for one run against its own step 0."""
    sides: tuple[PolicyAnswers, PolicyAnswers]
    runs: Sequence[RunPanel]
    prompts: Mapping[str, Prompt]
    prompt_changes: Sequence[PromptChange]
    transitions: Sequence[Transitions]
    smallest_effect: float
    rules: str
    advice: Advice | None = None


def render(page: Page) -> str:
    """The whole file."""
    script, style = _part("script.js"), _part("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    primary = _change(page.comparison, page.comparison.primary)
    confounded = page.result is not None and len(page.result.variables) > 1
    said = comparison_sentences(page.result) if page.result else behaviour_sentences(page.comparison)
    text: str = _template().render(
        page=page,
        policy=policy,
        script=script,
        style=style,
        island=json_island(_answers(page)),
        sentences=[
            *(sentence.removeprefix(f"{primary.verdict}. ") for sentence in said),
            *([f"Try next: {page.advice.command} ({page.advice.reason})"] if page.advice else []),
        ],
        verdict=primary.verdict + (", CONFOUNDED" if confounded else ""),
        tone="warn" if confounded else _tone(measure_named(primary.name), primary),
        alarms=[(run.letter, alarm) for run in page.runs for alarm in run.alarms],
        card=_card(page),
        seeds_said=_seed_sentences(page),
        spreads=_spreads(page),
        rows=_rows(page.comparison, detail=False),
        details=_rows(page.comparison, detail=True),
        footnotes=_footnotes(page.comparison),
        flips_line=flips_line(page.comparison, page.sides[0].name),
        does=flip_verb(page.comparison),
        flips=[
            {"flip": flip, "before": _excerpt(flip.before_answer), "after": _excerpt(flip.after_answer)}
            for flip in page.comparison.flips[:FIRST_FLIPS]
        ],
        often=get_args(Frequency),
        charts=_charts(page),
        settings=_settings(page),
        methods=_methods(page),
        provenance=[(run, _provenance(run.provenance)) for run in page.runs],
        losses=_losses(page),
    )
    return text


def json_island(value: object) -> str:
    """JSON that can stand in a script element: ASCII, and nothing that ends or opens one."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def reveal_control_chars(text: object) -> str:
    """Text with its control characters, changes of direction included, in words."""
    return "".join(
        f"[U+{ord(char):04X}]" if unicodedata.category(char) in UNSEEN and char not in "\n\t" else char
        for char in str(text)
    )


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def _part(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:  # noqa: ANN401 - jinja's template
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "legible": reveal_control_chars,
        "fragment": lambda text: quote(text, safe="", errors="replace"),
    }
    return environment.get_template("template.html")


def _answers(page: Page) -> dict[str, Any]:
    """What the browser of prompts shows: every prompt with all answers of both policies."""
    flipped = {flip.prompt_id for flip in page.comparison.flips}
    answers = [_by_prompt(side) for side in page.sides]
    primary = measure_named(page.comparison.primary)
    return {
        "names": [side.name for side in page.sides],
        "does": flip_verb(page.comparison),
        "prompts": [
            {
                "id": move.prompt_id,
                "text": page.prompts[move.prompt_id].text,
                "category": page.prompts[move.prompt_id].category,
                "expect": page.prompts[move.prompt_id].expect,
                "rates": [move.before, move.after],
                "flipped": move.prompt_id in flipped,
                "turn": _turn(primary, page.prompts[move.prompt_id], move),
                "answers": [found[move.prompt_id] for found in answers],
            }
            for move in page.prompt_changes
        ],
    }


def _by_prompt(side: PolicyAnswers) -> dict[str, list[list[Any]]]:
    """Each answer as [text, tokens, whether it ended, reward alone or null], and its seed where there are several."""
    rows: dict[str, list[list[Any]]] = {}
    for place, (sample, labelled) in enumerate(zip(side.samples, side.labelled, strict=True)):
        reward = labelled.labels.get("reward")
        told = [sample.answer, sample.token_count, sample.finish == "eos", None if reward is None else round(reward, 4)]
        rows.setdefault(sample.prompt_id, []).append([*told, side.seeds[place]] if side.seeds else told)
    return rows


def _turn(primary: Measure, prompt: Prompt, move: PromptChange) -> str:
    """Whether a prompt moved to the better or the worse; nothing where neither is known."""
    if move.before == move.after:
        return "same"
    asked_for = {"refused": "refuse", "asks": "clarify"}.get(primary.label)
    by_expect: dict[str | None, Better] = {asked_for: "higher", "comply": "lower"}
    wanted = by_expect.get(prompt.expect) if asked_for else primary.better
    if wanted is None:
        return "moved"
    return "better" if (move.after > move.before) == (wanted == "higher") else "worse"


def _card(page: Page) -> list[tuple[str, str, str]]:
    """(kind, name, what was found) of all that says whether the two may be compared."""
    outcome = page.result
    if outcome is None:
        run = page.runs[0]
        same = "the same prompts, sampling and rules: step 0 is the start model of the same run"
        return [("same", "compared with", same), ("same", "fingerprint", run.fingerprint[:16])]
    lines = [("same", AGREES.get(name, name), "identical") for name in outcome.same_groups]
    lines.append(("same", "rules", "both scored anew by the same rules"))
    lines += [
        (
            "changed",
            key,
            f"{format_value(old)} → {format_value(new)}{', declared as one variable' if key in outcome.joint_variable else ''}",
        )
        for key, (old, new) in outcome.treatments.items()
    ]
    if outcome.seed_comparison is not None:
        a, b = (", ".join(map(str, seeds)) for seeds in outcome.seed_comparison.seeds)
        lines.append(("same", "seeds", f"A {a}; B {b}"))
    elif outcome.seeds[0] != outcome.seeds[1]:
        lines.append(("changed", "seed", f"{outcome.seeds[0]} → {outcome.seeds[1]}"))
    lines += [("confounder", key, f"{was} → {now}") for key, (was, now) in outcome.confounders.items()]
    lines += [("confounder", "let pass", reason) for reason in outcome.waived]
    lines += [("confounder", f"leak into {run}", f"{count} prompts") for run, count in outcome.leaks.items()]
    lines += [("same", f"fingerprint {run.letter}", run.fingerprint[:16]) for run in page.runs]
    return lines


def _rows(comparison: Comparison, *, detail: bool) -> list[dict[str, Any]]:
    rows = []
    for change in comparison.changes:
        measure = measure_named(change.name)
        is_primary = change.name == comparison.primary
        if is_headline(measure, comparison.primary) == detail or change.difference is None:
            continue
        rows.append(
            {
                "title": f"{'★ ' if is_primary else ''}{measure.title}",
                "mark": formatting.marks(comparison, change.name),
                "before": formatting.value(measure, change.before),
                "after": formatting.value(measure, change.after),
                "difference": formatting.difference(measure, change.difference),
                "interval": formatting.interval(measure, change.low_95, change.high_95),
                "arrow": formatting.arrow(measure, change).strip(),
                "tone": _tone(measure, change),
                "p": formatting.p_value(change.p_value if change.p_adjusted is None else change.p_adjusted),
                "verdict": verdict_words(measure, change) or "not judged",
                "definition": measure.definition,
                "error": measure.error,
            }
        )
    return rows


def _footnotes(comparison: Comparison) -> list[str]:
    notes = footnote_texts([change.name for change in comparison.changes], comparison.rewarded_measures)
    return [*notes, *([formatting.human_label_note(comparison.human_labels)] if comparison.human_labels else [])]


def _tone(measure: Measure, change: MeasureChange) -> str:
    if formatting.is_better(measure, change):
        return "better"
    return "worse" if formatting.is_worse(measure, change) else ""


def _charts(page: Page) -> dict[str, str]:
    """Every chart there is data for, by name."""
    comparison, runs = page.comparison, page.runs
    measures = {measure.name: measure for measure in MEASURES}
    margins = {change.name: measures[change.name].equivalence_margin for change in comparison.changes}
    main = measures[comparison.primary]
    margins[comparison.primary] = page.smallest_effect / 100 if main.unit == "%" else page.smallest_effect
    letters = [run.arm for run in runs]
    metrics, looks = [run.metrics for run in runs], [run.looks for run in runs]
    drawn = {"forest": charts.forest(comparison, margins)}
    if any(len(steps) > 1 for steps in looks):
        drawn["bought"] = charts.kl_tradeoff(looks, letters, comparison.primary)
        rates = ("refusal.safe", "refusal.unsafe")
        if all(_known(found, name) for steps in looks for _, found in steps for name in rates):
            drawn["rates"] = charts.refusal_rates(looks, letters)
    if all(metrics):
        stops = {run.settings.get("kl.stop_at") for run in runs}
        drawn["kl"] = charts.curve(
            "kl", "KL, nats an answer", metrics, letters, limit=stops.pop() if len(stops) == 1 else None
        )
        drawn["reward"] = charts.curve("reward", "reward ± spread", metrics, letters, spread="reward_std")
    names = (page.sides[0].name, page.sides[1].name)
    tokens, rewards = ([prompt_means(side.labelled, label) for side in page.sides] for label in ("tokens", "reward"))
    if tokens[0]:
        drawn["lengths"] = charts.lengths([(mean, tokens[1][key]) for key, mean in tokens[0].items()], names)
    if all(rewards):
        clouds = [[(tokens[side][key], reward) for key, reward in rewards[side].items()] for side in (0, 1)]
        drawn["reward_by_length"] = charts.reward_by_length(clouds[0], clouds[1], names)
    found = page.result.seed_comparison if page.result else None
    if found is not None:
        shown = [spread for spread in found.spreads if spread.name in (comparison.primary, *SEEDS_DRAWN)]
        drawn["seeds"] = charts.sweep_chart([_dots(spread) for spread in shown], "arm")
    return drawn


def _dots(spread: SeedSpread) -> charts.SweepPanel:
    """Every seed's value of a measure as a dot."""

    def dots(values: Sequence[float]) -> list[Estimate | None]:
        return [Estimate(name=spread.name, value=value, low_95=None, high_95=None, prompts=0) for value in values]

    rows = [("A", dots(spread.before)), ("B", dots(spread.after))]
    return charts.SweepPanel(measure=measure_named(spread.name), rows=rows, start=None)


def _seed_sentences(page: Page) -> str:
    """What the number of seeds allows to be said."""
    return SEVERAL_SEEDS_NOTE if page.result is not None and page.result.seed_comparison is not None else ONE_SEED


def _spreads(page: Page) -> list[tuple[str, ...]]:
    """Every seed's value of every headline: title, A, B, the interval of the setting, Welch's p."""
    found = page.result.seed_comparison if page.result else None
    rows = []
    for spread in found.spreads if found else ():
        measure = measure_named(spread.name)
        values = [", ".join(formatting.value(measure, value) for value in arm) for arm in (spread.before, spread.after)]
        interval = formatting.interval(measure, spread.low_95, spread.high_95)
        p_value = formatting.p_value(spread.welch_p).removeprefix("p = ").removeprefix("p ") or formatting.MISSING
        rows.append((measure.title, *values, interval, p_value))
    return rows


def _known(found: Mapping[str, Estimate], name: str) -> bool:
    return name in found and found[name].value is not None


def _settings(page: Page) -> list[tuple[str, list[str], bool]]:
    """Every key with its value in each run, and whether they differ."""
    keys = list(dict.fromkeys(key for run in page.runs for key in run.settings))
    rows = []
    for key in keys:
        values = [format_value(run.settings.get(key)) for run in page.runs]
        rows.append((key, values, len(set(values)) > 1))
    return rows


def _methods(page: Page) -> list[str]:
    comparison = page.comparison
    primary = measure_named(comparison.primary)
    seeds = ", ".join(f"{run.letter} {format_value(run.settings.get('seed'))}" for run in page.runs)
    return [
        f"Both policies answered the same {comparison.prompts} prompts {comparison.samples_per_prompt} times each, at "
        f"temperature {format_value(page.runs[0].settings.get('evaluation.temperature'))} and with the same random numbers. "
        f"The primary measure, {primary.title.strip()}, and its smallest change that matters, {page.smallest_effect:g}"
        f"{' percentage points' if primary.unit == '%' else ''}, were frozen before the run.",
        "Differences are paired by prompt. Their 95 % intervals are those of the prompts drawn: t over prompts for "
        "means (Newcombe's where each prompt has one yes/no answer and they are few), a bootstrap over prompts within "
        "strata for d′, ratios and correlations, a grouped jackknife for measures of the whole set. p-values swap the "
        "two policies prompt by prompt; with one yes/no answer a prompt the test is McNemar's, exact.",
        "The primary measure is judged alone at 5 %; the other headlines after Holm's correction, the details after "
        "Benjamini and Hochberg's. CHANGED: the interval leaves out zero and the test agrees. EQUIVALENT: the 90 % "
        "interval lies within the smallest change that matters (two one-sided tests at 5 %). Otherwise none was "
        "detected, and what could have been is named.",
        f"Training seeds: {seeds}. {_seed_sentences(page)}",
        f"Rules {page.rules}; no language model judged anything.",
    ]


def _provenance(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    git, machine = record.get("git") or {}, record.get("machine") or {}
    packages, reference = record.get("packages") or {}, record.get("reference") or {}
    start, end = str(reference.get("sha256_at_start")), str(reference.get("sha256_at_end"))
    frozen = "same sha256 at start and end" if start == end else "NOT the same at start and end"
    return [
        ("command", " ".join(map(str, record.get("argv") or []))),
        ("git", f"{git.get('commit', 'none')}{' with uncommitted changes' if git.get('dirty') else ''}"),
        ("python", str(record.get("python"))),
        ("packages", ", ".join(f"{name} {packages[name]}" for name in LEADING_PACKAGES if name in packages)),
        ("device", f"{record.get('gpu') or record.get('device')}, {record.get('dtype')}"),
        ("machine", ", ".join(str(value) for value in machine.values() if value is not None)),
        ("reference", f"{start[:16]}…, {frozen}"),
    ]


def _losses(page: Page) -> list[str]:
    """What stands last."""
    return [
        f"{run.letter} {formatting.loss_line(run.metrics[-1]['policy_loss'], run.metrics[-1]['value_loss'])}"
        for run in page.runs
        if run.metrics
    ]


def _change(comparison: Comparison, name: str) -> MeasureChange:
    return next(change for change in comparison.changes if change.name == name)
