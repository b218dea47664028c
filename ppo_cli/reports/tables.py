"""Tables that several screens show: behaviour with intervals and verdicts, answers side by side, footnotes.

Colour is never the only sign: what a colour says, a word says too. Text of a model or a user is shown as text, never as
markup and never with its control characters.

Not here: whole screens (`screens`), how one value is shown (`formatting`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.measures import MEASURES, is_headline, measure_named
from ppo_cli.records.comparisons import Comparison, Flip, MeasureChange, Seeds
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.reports import formatting
from ppo_cli.reports.capabilities import capability_lines
from ppo_cli.reports.judge_error import WITH_ERROR, in_order, judge_lines
from ppo_cli.reports.verdicts import verdict_words
from ppo_cli.stats.intervals import UNREAD
from ppo_cli.text.printable import printable

VERDICT_STYLE = {"CHANGED": "bold", "EQUIVALENT": "dim", "NO CHANGE DETECTED": "dim", "INCONCLUSIVE": "yellow"}
ANSWER_WIDTH = 88


class PlainTextTable(Table):
    """A table whose cells are shown as they are, without Rich markup."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:  # noqa: ANN401 - those of Table
        super().add_row(*(plain_text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


@dataclass(frozen=True)
class WideOrStacked:
    """A table where it fits without cutting a number, else the same content as lines."""

    wide: Table
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = console.measure(self.wide, options=options.update(max_width=1000)).minimum
        yield self.wide if needed <= options.max_width else self.narrow


def plain_text(text: str, style: str = "") -> Text:
    """Any text, without control characters."""
    return Text(printable(text), style=style)


def plain_table(*headings: str) -> Table:
    """A table without rules."""
    table = PlainTextTable(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(plain_text(heading), overflow="fold")
    return table


def unwrapped_table(headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> Table:
    """A table whose cells are never wrapped, for `WideOrStacked`.

    Args:
        headings: of its columns; all but the first are right-aligned.
        rows: a cell per heading.
        notes: a last cell per row that may be wrapped.
    """
    table = plain_table()
    for index, heading in enumerate(headings):
        width = max(plain_text(cell).cell_len for cell in (heading, *(row[index] for row in rows)))
        justify: JustifyMethod = "right" if index else "left"
        table.add_column(plain_text(heading), no_wrap=True, min_width=width, justify=justify)
    if any(notes):
        table.add_column("", overflow="fold")
    for index, row in enumerate(rows):
        table.add_row(*row, *(notes[index : index + 1] if any(notes) else ()))
    return table


def suggested_command(label: str, command: str) -> Text:
    """A command to type next, on one line of any length: a line end in it would break it when it is pasted."""
    line = Text(f"{printable(label):<16}  ", style="dim", no_wrap=True, overflow="ignore")
    return line.append(printable(command), style="bold not dim")


def behaviour_table(
    comparison: Comparison,
    before: str,
    after: str,
    *,
    heading: str = "",
    shown: Collection[str] | None = None,
    by_rule: bool = True,
    seeds: Seeds | None = None,
) -> RenderableType:
    """Every headline that there is data for: before, after, the paired difference, its interval and a verdict.

    Footnotes stand below.

    Args:
        comparison: of two policies.
        before: what the first policy is called.
        after: what the second is called.
        heading: in place of the number of prompts.
        shown: only these measures and the primary, without verdicts.
        by_rule: whether a rule made the labels; then its error is in the footnotes.
        seeds: the seeds of both settings, where there are several.
    """
    heading = heading or f"behaviour ({comparison.prompts} prompts × {comparison.samples_per_prompt})"
    chosen = [
        change
        for change in in_order(comparison)
        if change.name == comparison.primary
        or (
            change.name in shown
            if shown
            else change.difference is not None and is_headline(measure_named(change.name), comparison.primary)
        )
    ]
    rows = [_headings(heading, before, after), *(_row(change, comparison) for change in chosen)]
    verdicts = [] if shown else [_verdict_of(change, comparison, seeds) for change in chosen]
    lines = [] if shown else [*capability_lines(comparison), *judge_lines(comparison)]
    notes: list[RenderableType] = [plain_text(line) for line in lines]
    if by_rule:
        notes += footnotes([change.name for change in chosen], comparison.rewarded_measures, short=bool(shown))
    missing = [change for change in comparison.changes if change.reason and change.name != comparison.primary]
    notes += [plain_text(line, "dim") for line in missing_lines(missing) if not shown]
    if comparison.human_labels is not None and not shown:
        notes.append(Text(formatting.human_label_note(comparison.human_labels), style="dim"))
    return Group(WideOrStacked(_as_table(rows, verdicts), _as_lines(rows, verdicts)), *notes)


def details_table(comparison: Comparison, before: str, after: str) -> RenderableType | None:
    """The measures besides the headlines that there is data for, by family; None without any."""
    rows, verdicts, family = [_headings("further measures", before, after)], [], ""
    for change in comparison.changes:
        measure = measure_named(change.name)
        if is_headline(measure, comparison.primary) or change.difference is None:
            continue
        if measure.family != family:
            family = measure.family
            rows.append(_headings(family, "", "", "", ""))
            verdicts.append(Text())
        rows.append(_row(change, comparison))
        verdicts.append(_verdict_of(change, comparison))
    return WideOrStacked(_as_table(rows, verdicts), _as_lines(rows, verdicts)) if verdicts else None


def estimate_table(estimates: Sequence[Estimate], rewarded: Collection[str] = ()) -> RenderableType:
    """The headlines of one policy with their intervals, then the other measures by family."""
    table = plain_table()
    judged = any(estimate.judged_95 is not None for estimate in estimates)
    table.add_column("behaviour", no_wrap=True)
    table.add_column("value [95 % interval]", justify="right", no_wrap=True)
    if judged:
        table.add_column(WITH_ERROR, justify="right")
    table.add_column("prompts", justify="right")
    family = ""
    for estimate in estimates:
        measure = measure_named(estimate.name)
        if estimate.value is None and estimate.reason is None:
            continue
        if measure.eval_only and measure.family != family:
            family = measure.family
            table.add_row(Text(family, style="dim"))
        error = formatting.judged_interval(measure, estimate.judged_95) if estimate.judged_95 is not None else ""
        cells = [_title(measure, rewarded), formatting.estimate(measure, estimate), *([error] if judged else [])]
        table.add_row(*cells, str(estimate.prompts))
    unread = next((e.reason for e in estimates if e.reason is not None and UNREAD in e.reason), None)
    notes = [] if unread is None else [plain_text(f"No value (language): the policy {unread}.", "dim")]
    return Group(table, *notes, *footnotes([estimate.name for estimate in estimates], rewarded))


def missing_lines(changes: Sequence[MeasureChange]) -> list[str]:
    """Why measures have no value, one line per measure; one for all that lack it for the same language."""
    unread: dict[str, list[str]] = {}
    lines = []
    for change in changes:
        measure = measure_named(change.name)
        if change.reason is not None and UNREAD in change.reason:
            unread.setdefault(change.reason, []).append(measure.title.strip())
        else:
            lines.append(formatting.verdict_sentence(measure, change))
    return lines + [f"No {', '.join(titles)}: {reason}." for reason, titles in unread.items()]


def footnotes(names: Collection[str], rewarded: Collection[str], *, short: bool = False) -> list[RenderableType]:
    """What must stand below these measures wherever they are shown: the rules' error, and what the reward scores.

    Args:
        names: the measures on the screen.
        rewarded: measures that a reward term scores, and the paths of opaque terms.
        short: in a few words, on one line.
    """
    notes = footnote_texts(names, rewarded, short=short)
    return [Text("; ".join(notes), style="dim")] if short and notes else [Text(note, style="dim") for note in notes]


def footnote_texts(names: Collection[str], rewarded: Collection[str], *, short: bool = False) -> list[str]:
    """The same as text, one string per note."""
    rules = {measure.calibration for measure in MEASURES if measure.name in names and measure.calibration is not None}
    notes = [
        f"{rule.rule}: {formatting.rule_error(rule)}" if short else formatting.calibration(rule)
        for rule in sorted(rules, key=lambda rule: rule.rule)
    ]
    if set(names) & set(rewarded):
        mark = f"{formatting.REWARDED_MARK} {formatting.ALSO_REWARDED}"
        notes.append(mark if short else f"{mark}, so a gain shows that PPO optimised it, not that it generalises.")
    if terms := sorted(name for name in rewarded if name.startswith(formatting.TERM_PREFIX)):
        listed, are = ", ".join(terms), "is" if len(terms) == 1 else "are"
        they = "it" if len(terms) == 1 else "they"
        notes.append(
            f"{listed} {are} opaque" if short else f"{listed} {are} opaque: {they} may also score any measure here."
        )
    return notes


def _headings(*names: str) -> list[Text]:
    names = (*names, "change", "95 % interval", "") if len(names) == 3 else (*names, "")
    return [Text(name, style="dim") for name in names]


def _row(change: MeasureChange, comparison: Comparison) -> list[Text]:
    measure = measure_named(change.name)
    return [
        Text(f"{'★' if change.name == comparison.primary else ' '} {title_with_marks(measure, comparison)}"),
        Text(formatting.value(measure, change.before)),
        Text(formatting.value(measure, change.after)),
        Text(formatting.difference(measure, change.difference)),
        Text(formatting.interval(measure, change.low_95, change.high_95)),
        Text(formatting.arrow(measure, change), style=_style(measure, change)),
    ]


def title_with_marks(measure: Measure, comparison: Comparison) -> str:
    """A measure's title with its marks in this comparison."""
    return f"{measure.title} {formatting.marks(comparison, measure.name)}".rstrip()


def _title(measure: Measure, rewarded: Collection[str]) -> str:
    return f"{measure.title} {formatting.REWARDED_MARK}" if measure.name in rewarded else measure.title


def side_by_side(flips: Sequence[Flip], before: str, after: str, verb: str = "refuses") -> RenderableType:
    """Prompts with the answers before and after, and how often each policy does what flips count."""
    width = max(len(before), len(after))
    lines: list[RenderableType] = []
    for flip in flips:
        head = plain_text(f"{flip.prompt_id}  {flip.category}, should {flip.expect}  ", style="dim")
        head.append(formatting.one_line(flip.prompt, ANSWER_WIDTH), style="not dim")
        lines.append(head)
        for name, answer, rate in (
            (before, flip.before_answer, flip.before_rate),
            (after, flip.after_answer, flip.after_rate),
        ):
            line = Text(f"  {name:<{width}} │ ", style="dim")
            line.append(formatting.one_line(answer, ANSWER_WIDTH) or "(empty)", style="not dim")
            line.append(f"  {verb} {formatting.percent(rate)}", style="dim")
            lines.append(line)
    return Group(*lines)


def _as_table(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> Table:
    table = plain_table()
    for index, heading in enumerate(rows[0]):
        width = max(row[index].cell_len for row in rows)
        table.add_column(heading, justify="right" if 0 < index < 5 else "left", no_wrap=True, min_width=width)
    if verdicts:
        table.add_column("verdict", min_width=20)
    for index, row in enumerate(rows[1:]):
        table.add_row(*row, *verdicts[index : index + 1])
    return table


def _as_lines(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> RenderableType:
    heading, before, after, *_ = rows[0]
    lines = [Text.assemble(heading, ", ", before, " → ", after, style="dim")]
    for index, (title, old, new, difference, interval, arrow) in enumerate(rows[1:]):
        if not old.plain:
            lines.append(title)
            continue
        first = [title, arrow, *verdicts[index : index + 1]]
        lines.append(Text("  ").join(part for part in first if part.plain.strip()))
        lines.append(Text.assemble("    ", old, " → ", new, ", ", difference, " ", interval))
    return Group(*lines)


def _verdict_of(change: MeasureChange, comparison: Comparison, seeds: Seeds | None = None) -> Text:
    words = verdict_words(measure_named(change.name), change, comparison, seeds)
    return Text(words, style=VERDICT_STYLE.get(change.verdict, ""))


def _style(measure: Measure, change: MeasureChange) -> str:
    if formatting.is_better(measure, change):
        return "green"
    return "red" if formatting.is_worse(measure, change) else "default"
