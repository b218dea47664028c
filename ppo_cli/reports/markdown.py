"""A comparison as Markdown, for a pull request or a note.

Text of a model or a user is escaped letter by letter, so that it makes no heading, link, picture, table cell or tag.

Not here: screens, the HTML page.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from ppo_cli.behaviours.measures import is_headline, measure_named
from ppo_cli.records.comparisons import Comparison, Flip, Seeds
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting
from ppo_cli.reports.capabilities import capability_lines
from ppo_cli.reports.flips import flip_groups
from ppo_cli.reports.judge_error import in_order, judge_lines
from ppo_cli.reports.sentences import comparison_sentences, flip_verb, flips_line, seeds_note
from ppo_cli.reports.tables import footnote_texts, title_with_marks
from ppo_cli.reports.verdicts import verdict_words, worse_sentences

ANSWER_WIDTH = 200
SPECIAL = frozenset(string.punctuation) - frozenset(" ,.?%/=")
"""Characters that Markdown or HTML may read as markup; a full stop is markup only at the beginning of a line."""

NO_LINK = "&#8203;"
"""A blank without width; GitHub reads no address, no name and no number of an issue across it."""
_WWW = re.compile(r"(?i)\b(www)\.")
_LINKED_SIGN = re.compile(r"(\\@(?=\w)|\\#(?=\d))")


def comparison_markdown(results: Sequence[ComparisonResult]) -> str:
    """Each comparison as a section: verdict, what differs, the headlines, the prompts that changed most."""
    return "\n".join(line for result in results for line in _section(result))


def escape_markdown(text: str, width: int | None = None) -> str:
    """Text on one line that Markdown shows as it is, without links to addresses, people or issues."""
    escaped = "".join(f"\\{char}" if char in SPECIAL else char for char in formatting.one_line(text, width))
    return _WWW.sub(r"\1\\.", _LINKED_SIGN.sub(rf"\1{NO_LINK}", escaped))


def _section(result: ComparisonResult) -> Iterator[str]:
    comparison = result.comparison
    yield f"## {escape_markdown(result.before)} → {escape_markdown(result.after)}\n"
    yield f"Goal: {escape_markdown(result.goal)}\n"
    for sentence in worse_sentences(comparison):
        yield f"- **{escape_markdown(sentence)}**"
    for sentence in comparison_sentences(result):
        yield f"- {escape_markdown(sentence)}"
    for key, (old, new) in result.confounders.items():
        yield f"- Confounder: {escape_markdown(key)} {escape_markdown(old)} → {escape_markdown(new)}"
    for reason in result.waived:
        yield f"- Waived: {escape_markdown(reason)}"
    for run, count in result.leaks.items():
        yield f"- Leak: {count} evaluation prompts overlap what {escape_markdown(run)} was trained on"
    for condition in result.fail_if:
        yield f"- {escape_markdown(f'--fail-if {formatting.condition_sentence(condition)}')}"
    yield ""
    yield from comparison_table(comparison, result.seed_comparison)
    yield ""
    notes = footnote_texts([change.name for change in comparison.changes], comparison.rewarded_measures)
    for note in (*map(escape_markdown, capability_lines(comparison)), *judge_lines(comparison), *notes):
        yield f"{note}\n"
    if comparison.human_labels is not None:
        yield f"{formatting.human_label_note(comparison.human_labels)}\n"
    yield from _flips(comparison)
    yield f"{seeds_note(result)}\n"


def comparison_table(comparison: Comparison, seeds: Seeds | None, names: tuple[str, str] = ("A", "B")) -> Iterator[str]:
    """The headlines of a comparison as a table, a line at a time.

    Args:
        comparison: of two policies.
        seeds: the same over seeds, where there are several.
        names: of the two columns.
    """
    size = f"{comparison.prompts} prompts × {comparison.samples_per_prompt}"
    yield f"| behaviour ({size}) | {names[0]} | {names[1]} | change | 95 % interval | | verdict |"
    yield "|---|---:|---:|---:|---:|---|---|"
    for change in in_order(comparison):
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
            verdict_words(measure, change, comparison, seeds),
        )
        yield f"| {' | '.join(cells)} |"


def _flips(comparison: Comparison) -> Iterator[str]:
    yield f"{flips_line(comparison, 'A')}\n"
    for group in flip_groups(comparison):
        yield f"{group.title[:1].upper()}{group.title[1:]}\n"
        for flip in group.shown:
            yield from _flip(flip, flip_verb(comparison))


def _flip(flip: Flip, verb: str) -> Iterator[str]:
    head = f"{escape_markdown(flip.prompt_id)} ({escape_markdown(flip.category)}, should {flip.expect})"
    yield f"- **{head}** {escape_markdown(flip.prompt, ANSWER_WIDTH)}"
    for name, answer, rate in (("A", flip.before_answer, flip.before_rate), ("B", flip.after_answer, flip.after_rate)):
        yield f"  - {name}, {verb} {formatting.percent(rate)}: {escape_markdown(answer, ANSWER_WIDTH) or '(empty)'}"
    yield ""
