"""The parts that screens are made of: behaviour tables, side-by-side answers, panels.

Colour is never the only sign: every coloured word is also a word. Text of a model or a user is shown as text: never
as markup, never with its control characters.

Not here: whole screens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from ppo_cli.behaviours.measures import MEASURES, is_headline, measure_named
from ppo_cli.records.comparisons import Comparison, Flip, MeasureChange
from ppo_cli.records.measures import Estimate, Measure
from ppo_cli.report import formatting

VERDICT_STYLE = {"CHANGED": "bold", "EQUIVALENT": "dim", "NO CHANGE DETECTED": "dim", "INCONCLUSIVE": "yellow"}
ANSWER_WIDTH = 88


class PlainTextTable(Table):
    """A table that shows every word as it is."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:  # noqa: ANN401 - those of Table
        super().add_row(*(plain_text(cell) if isinstance(cell, str) else cell for cell in cells), **options)


@dataclass(frozen=True)
class WideOrStacked:
    """A table where it fits without cutting a number, else the same as lines."""

    wide: Table
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = console.measure(self.wide, options=options.update(max_width=1000)).minimum
        yield self.wide if needed <= options.max_width else self.narrow


def plain_text(text: str, style: str = "") -> Text:
    """Any text, without a way to steer the terminal."""
    return Text(formatting.printable(text), style=style)


def plain_table(*headings: str) -> Table:
    """A table without lines."""
    table = PlainTextTable(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for heading in headings:
        table.add_column(plain_text(heading), overflow="fold")
    return table


def behaviour_table(
    comparison: Comparison,
    before: str,
    after: str,
    *,
    heading: str = "",
    shown: Collection[str] | None = None,
    by_rule: bool = True,
) -> RenderableType:
    """Every headline that there is data for, before and after, with the paired difference, its interval and a verdict.

    What to know of them stands below.

    Args:
        comparison: of two policies.
        before: what to call the first.
        after: what to call the second.
        heading: what to say instead of how many prompts there are.
        shown: only these measures and the primary, without verdicts.
        by_rule: whether rules made the labels, whose error has to be said.
    """
    heading = heading or f"behaviour ({comparison.prompts} prompts × {comparison.samples_per_prompt})"
    chosen = [
        change
        for change in comparison.changes
        if change.name == comparison.primary
        or (
            change.name in shown
            if shown
            else change.difference is not None and is_headline(measure_named(change.name), comparison.primary)
        )
    ]
    rows = [_headings(heading, before, after), *(_row(change, comparison) for change in chosen)]
    verdicts = [] if shown else [_verdict_of(change) for change in chosen]
    notes = (
        footnotes([change.name for change in chosen], comparison.rewarded_measures, short=bool(shown))
        if by_rule
        else []
    )
    if comparison.human_labels is not None and not shown:
        notes.append(Text(formatting.human_label_note(comparison.human_labels), style="dim"))
    return Group(WideOrStacked(_as_table(rows, verdicts), _as_lines(rows, verdicts)), *notes)


def details_table(comparison: Comparison, before: str, after: str) -> RenderableType:
    """The measures beside the headlines that there is data for, family by family."""
    rows, verdicts, family = [_headings("more of each family", before, after)], [], ""
    for change in comparison.changes:
        measure = measure_named(change.name)
        if is_headline(measure, comparison.primary) or change.difference is None:
            continue
        if measure.family != family:
            family = measure.family
            rows.append(_headings(family, "", "", "", ""))
            verdicts.append(Text())
        rows.append(_row(change, comparison))
        verdicts.append(_verdict_of(change))
    return WideOrStacked(_as_table(rows, verdicts), _as_lines(rows, verdicts))


def estimate_table(estimates: Sequence[Estimate], graded: Collection[str] = ()) -> RenderableType:
    """The headlines of one policy with their intervals, then what there is of the rest, family by family."""
    table = plain_table()
    table.add_column("behaviour", no_wrap=True)
    table.add_column("value [95 % interval]", justify="right", no_wrap=True)
    table.add_column("prompts", justify="right")
    family = ""
    for found in estimates:
        measure = measure_named(found.name)
        if found.value is None:
            continue
        if measure.eval_only and measure.family != family:
            family = measure.family
            table.add_row(Text(family, style="dim"), "", "")
        table.add_row(_title(measure, graded), formatting.estimate(measure, found), str(found.prompts))
    return Group(table, *footnotes([found.name for found in estimates], graded))


def footnotes(names: Collection[str], graded: Collection[str], *, short: bool = False) -> list[RenderableType]:
    """What must stand wherever these measures are shown: the error of the rules, and who graded them.

    Args:
        names: the measures on the screen.
        graded: measures that a term of the reward scores.
        short: in a few words.
    """
    notes = footnote_texts(names, graded, short=short)
    return [Text("; ".join(notes), style="dim")] if short and notes else [Text(note, style="dim") for note in notes]


def footnote_texts(names: Collection[str], graded: Collection[str], *, short: bool = False) -> list[str]:
    """The same in words, a note each."""
    found = {measure.calibration for measure in MEASURES if measure.name in names and measure.calibration is not None}
    notes = [
        f"{rule.rule}: {formatting.rule_error(rule)}" if short else formatting.calibration(rule)
        for rule in sorted(found, key=lambda rule: rule.rule)
    ]
    if set(names) & set(graded):
        mark = f"{formatting.REWARDED_MARK} {formatting.ALSO_REWARDED}"
        notes.append(
            mark if short else f"{mark}: the reward scores this too, so a gain first shows that it was learnt."
        )
    if terms := sorted(name for name in graded if name.startswith(formatting.TERMS)):
        listed = ", ".join(terms)
        notes.append(
            f"not known what {listed} grades"
            if short
            else f"What {listed} looks at is not known, so any measure here may be graded by its own teacher."
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
    """A measure's title with the marks that it carries in this comparison."""
    return f"{measure.title} {formatting.marks(comparison, measure.name)}".rstrip()


def _title(measure: Measure, graded: Collection[str]) -> str:
    return f"{measure.title} {formatting.REWARDED_MARK}" if measure.name in graded else measure.title


def side_by_side(flips: Sequence[Flip], before: str, after: str, does: str = "refuses") -> RenderableType:
    """Prompts with the answer before and after, and how often each policy does what the rates are about."""
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
            line.append(f"  {does} {rate:.0%}", style="dim")
            lines.append(line)
    return Group(*lines)


def _as_table(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> Table:
    table = plain_table()
    for place, heading in enumerate(rows[0]):
        width = max(row[place].cell_len for row in rows)
        table.add_column(heading, justify="right" if 0 < place < 5 else "left", no_wrap=True, min_width=width)
    if verdicts:
        table.add_column("verdict", min_width=20)
    for place, row in enumerate(rows[1:]):
        table.add_row(*row, *verdicts[place : place + 1])
    return table


def _as_lines(rows: Sequence[Sequence[Text]], verdicts: Sequence[Text]) -> RenderableType:
    heading, before, after, *_ = rows[0]
    lines = [Text.assemble(heading, ", ", before, " → ", after, style="dim")]
    for place, (title, was, now, moved, interval, arrow) in enumerate(rows[1:]):
        if not was.plain:
            lines.append(title)
            continue
        said = [title, arrow, *verdicts[place : place + 1]]
        lines.append(Text("  ").join(part for part in said if part.plain.strip()))
        lines.append(Text.assemble("    ", was, " → ", now, ", ", moved, " ", interval))
    return Group(*lines)


def _verdict_of(change: MeasureChange) -> Text:
    return Text(verdict_words(measure_named(change.name), change), style=VERDICT_STYLE.get(change.verdict, ""))


def verdict_words(measure: Measure, change: MeasureChange) -> str:
    """A verdict, with what could have been detected where nothing was."""
    if change.verdict == "info":
        return ""
    smallest = formatting.detectable_change(measure, change)
    if change.verdict == "NO CHANGE DETECTED" and smallest:
        return f"none detected (could detect {smallest})"
    return change.verdict


def _style(measure: Measure, change: MeasureChange) -> str:
    if formatting.is_better(measure, change):
        return "green"
    return "red" if formatting.is_worse(measure, change) else "default"
