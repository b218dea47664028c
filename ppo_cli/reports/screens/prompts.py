"""The screen of `ppo prompts`: what was read first, then what to look at, then what the prompts are about.

Not here: working it out (`preflight.describe_prompts`).
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ppo_cli.records.program import command
from ppo_cli.records.prompt_report import AlikePrompts, Leak, PromptReport
from ppo_cli.reports import formatting
from ppo_cli.reports.tables import plain_table, plain_text, suggested_command

MAX_KINDS_SHOWN = 12
OWN_CATEGORY = "all"
"""The category of a prompt that names none."""


def prompt_report_screen(report: PromptReport) -> RenderableType:
    """What `ppo prompts` ends with."""
    read = f"{report.source}: {report.prompts} prompts in {report.rows} rows"
    return Group(
        plain_text(read, style="bold"),
        *(plain_text(f"! {formatting.one_line(notice, 400)}", style="yellow") for notice in report.notices),
        Text(),
        _lines(report),
        Text(),
        *_subjects(report),
        Text(),
        suggested_command("split them", command("init", "blank", "my-exp", "--from-file", report.source)),
    )


def _lines(report: PromptReport) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words, style in _facts(report):
        table.add_row(name, plain_text(words, style=style))
    return table


def _facts(report: PromptReport) -> Iterator[tuple[str, str, str]]:
    """(name, what there is, style) of each line."""
    lengths = report.lengths
    left_out = "; ".join(f"{count} {why}" for why, count in report.left_out)
    yield "left out", left_out or "nothing", "yellow" if left_out else ""
    if report.parts:
        yield "of these", ", ".join(f"{count} {what}" for what, count in report.parts), ""
    yield "languages", ", ".join(f"{name} {count}" for name, count in report.languages), ""
    yield (
        "words",
        f"{lengths.shortest} to {lengths.longest}, median {lengths.median:g}, nine in ten at most "
        f"{lengths.nine_in_ten}; the longest prompt, '{lengths.longest_id}', has about {lengths.longest_tokens} tokens "
        "(prompts.max_tokens)",
        "",
    )
    repeated, near = report.repeated, report.near_duplicates
    yield "repeated", _alike(repeated, "in the same words as another"), "yellow" if repeated.count else ""
    yield "near-duplicates", _alike(near, "with nearly the same words"), "yellow" if near.count else ""
    yield "topics", f"{report.topics} groups of prompts with words in common", ""
    for leak in report.leaks:
        yield "shared", _leak(leak), "bold red" if leak.shared.count or leak.near.count else "green"


def _alike(found: AlikePrompts, what: str) -> str:
    if not found.count:
        return "none"
    examples = ", ".join(f"'{one}' and '{other}'" for one, other in found.examples)
    return f"{found.count} {what}: {examples}{', …' if found.count > len(found.examples) else ''}"


def _leak(leak: Leak) -> str:
    if not leak.shared.count and not leak.near.count:
        return f"nothing with {leak.against} ({leak.prompts} prompts)"
    examples = [*leak.shared.examples, *leak.near.examples][:3]
    shown = ", ".join(f"'{one}' is '{other}' there" for one, other in examples)
    return (
        f"{leak.shared.count} prompts, and {leak.near.count} near-duplicates, with {leak.against} ({leak.prompts} "
        f"prompts): {shown}"
    )


def _subjects(report: PromptReport) -> Iterator[RenderableType]:
    """The categories where the file names any, and the words that most prompts have."""
    if any(kind.category != OWN_CATEGORY or kind.expect != "any" for kind in report.kinds):
        table = plain_table("category", "should")
        table.add_column("prompts", justify="right")
        for kind in report.kinds[:MAX_KINDS_SHOWN]:
            table.add_row(kind.category, kind.expect, str(kind.count))
        rest = report.kinds[MAX_KINDS_SHOWN:]
        if rest:
            table.add_row(f"{len(rest)} more", "", str(sum(kind.count for kind in rest)))
        yield table
    else:
        yield plain_text("No category and no `expect`: measures of refusal and of asking back cannot be taken.")
    if report.common_words:
        words = ", ".join(f"{word} {count}" for word, count in report.common_words)
        yield plain_text(f"Most frequent words (number of prompts): {words}")
