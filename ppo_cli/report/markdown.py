"""A comparison as Markdown, for a pull request or a note.

Text of a model or a user is escaped letter by letter: it can make no heading, link, picture, table cell or tag.

Not here: screens, the HTML page.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

from ppo_cli.behaviours.measures import is_headline, measure_named
from ppo_cli.records.comparisons import Comparison, Flip
from ppo_cli.records.results import ComparisonResult
from ppo_cli.report import formatting
from ppo_cli.report.screens.shared import ONE_SEED, comparison_sentences, flip_verb, flips_line
from ppo_cli.report.seed_table import SEVERAL_SEEDS_NOTE
from ppo_cli.report.tables import footnote_texts, title_with_marks

FLIPS_SHOWN = 5
ANSWER_WIDTH = 200
SPECIAL = frozenset(string.punctuation) - frozenset(" ,.?%/=")
"""What Markdown or HTML may read as more than itself; a point matters only at the beginning of a line."""


def comparison_markdown(outcomes: Sequence[ComparisonResult]) -> str:
    """Each comparison as a section: verdict, what differs, the headlines, the prompts that moved most."""
    return "\n".join(line for outcome in outcomes for line in _section(outcome))


def escape_markdown(text: str, width: int | None = None) -> str:
    """Text on one line that Markdown shows as it is."""
    return "".join(f"\\{char}" if char in SPECIAL else char for char in formatting.one_line(text, width))


def _section(outcome: ComparisonResult) -> Iterator[str]:
    comparison = outcome.comparison
    yield f"## {escape_markdown(outcome.before)} → {escape_markdown(outcome.after)}\n"
    yield f"Goal: {escape_markdown(outcome.goal)}\n"
    for sentence in comparison_sentences(outcome):
        yield f"- {escape_markdown(sentence)}"
    for key, (was, now) in outcome.confounders.items():
        yield f"- Confounder: {escape_markdown(key)} {escape_markdown(was)} → {escape_markdown(now)}"
    for reason in outcome.waived:
        yield f"- Let pass: {escape_markdown(reason)}"
    for run, count in outcome.leaks.items():
        yield f"- Leak: {count} evaluation prompts overlap what {escape_markdown(run)} learnt from"
    for judged in outcome.fail_if:
        yield f"- {escape_markdown(f'--fail-if {formatting.condition_sentence(judged)}')}"
    yield ""
    yield from _table(comparison)
    yield ""
    for note in footnote_texts([change.name for change in comparison.changes], comparison.rewarded_measures):
        yield f"{note}\n"
    if comparison.human_labels is not None:
        yield f"{formatting.human_label_note(comparison.human_labels)}\n"
    yield from _flips(comparison)
    yield f"{SEVERAL_SEEDS_NOTE if outcome.seed_comparison else ONE_SEED}\n"


def _table(comparison: Comparison) -> Iterator[str]:
    size = f"{comparison.prompts} prompts × {comparison.samples_per_prompt}"
    yield f"| behaviour ({size}) | A | B | change | 95 % interval | | verdict |"
    yield "|---|---:|---:|---:|---:|---|---|"
    for change in comparison.changes:
        measure = measure_named(change.name)
        if change.difference is None or not is_headline(measure, comparison.primary):
            continue
        star = "★ " if change.name == comparison.primary else ""
        cells = (
            f"{star}{title_with_marks(measure, comparison).strip()}",
            formatting.value(measure, change.before),
            formatting.value(measure, change.after),
            formatting.difference(measure, change.difference),
            formatting.interval(measure, change.low_95, change.high_95),
            formatting.arrow(measure, change).strip(),
            "" if change.verdict == "info" else change.verdict,
        )
        yield f"| {' | '.join(cells)} |"


def _flips(comparison: Comparison) -> Iterator[str]:
    yield f"{flips_line(comparison, 'A')}\n"
    for flip in comparison.flips[:FLIPS_SHOWN]:
        yield from _flip(flip, flip_verb(comparison))


def _flip(flip: Flip, does: str) -> Iterator[str]:
    head = f"{escape_markdown(flip.prompt_id)} ({escape_markdown(flip.category)}, should {flip.expect})"
    yield f"- **{head}** {escape_markdown(flip.prompt, ANSWER_WIDTH)}"
    for name, answer, rate in (("A", flip.before_answer, flip.before_rate), ("B", flip.after_answer, flip.after_rate)):
        yield f"  - {name}, {does} {rate:.0%}: {escape_markdown(answer, ANSWER_WIDTH) or '(empty)'}"
    yield ""
