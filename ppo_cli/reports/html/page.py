"""The HTML page of a run or of two runs.

Not here: reading runs (`evaluation.report`), what the sections say (`sections`), the charts (`reports.charts`), what
may run and load on a page (`document`).
"""

from __future__ import annotations

from typing import get_args

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Frequency
from ppo_cli.records.events import PLACEBO
from ppo_cli.records.program import portable
from ppo_cli.reports.flips import flip_groups
from ppo_cli.reports.html import sections
from ppo_cli.reports.html.document import document
from ppo_cli.reports.html.page_data import Page
from ppo_cli.reports.html.prompt_browser import browser_data
from ppo_cli.reports.seed_noise import single_run_sentence
from ppo_cli.reports.sentences import (
    behaviour_sentences,
    comparison_sentences,
    flip_verb,
    flips_line,
    kl_sentence,
    reward_sentence,
    seeds_note,
)
from ppo_cli.reports.verdicts import WORSE, got_worse, verdict_label, worse_sentences

EXCERPT_LETTERS = 600
"""Letters of an answer shown there."""


def render(page: Page) -> str:
    """The whole file."""
    comparison = page.comparison
    primary = next(change for change in comparison.changes if change.name == comparison.primary)
    confounded = page.result is not None and len(page.result.variables) > 1
    seeds = page.result.seed_comparison if page.result else None
    label = verdict_label(primary, seeds)
    verdict = label + (", CONFOUNDED" if confounded else "")
    return document(
        "template.html",
        scripts=("common.js", "script.js"),
        styles=("style.css",),
        island=browser_data(page),
        page=page,
        verdict=verdict,
        title=f"{page.experiment}: {sections.headline(comparison, verdict)}",
        facts=sections.facts(page),
        worse=[sentence.removeprefix(f"{WORSE}. ") for sentence in worse_sentences(comparison)],
        sentences=_sentences(page, label),
        tone=(
            "worse"
            if got_worse(comparison)
            else "warn"
            if confounded
            else sections.tone(measure_named(primary.name), primary)
        ),
        alarms=[(run.letter, alarm) for run in page.runs for alarm in run.alarms],
        comparability=sections.comparability(page),
        seeds_note=seeds_note(page.result),
        seed_noise=single_run_sentence(page.seed_noise, comparison.primary),
        seed_rows=sections.seed_rows(page),
        rows=sections.behaviour_rows(page, detail=False),
        details=sections.behaviour_rows(page, detail=True),
        in_words=sections.in_words(comparison),
        footnotes=sections.footnotes(comparison),
        flips_line=flips_line(comparison, page.sides[0].name),
        verb=flip_verb(comparison),
        flips=[
            (
                group.title,
                [
                    {"flip": flip, "before": _excerpt(flip.before_answer), "after": _excerpt(flip.after_answer)}
                    for flip in group.shown
                ],
            )
            for group in flip_groups(comparison)
        ],
        frequencies=get_args(Frequency),
        charts=sections.drawn_charts(page),
        held_out=[sentence for sentence in (reward_sentence(comparison), kl_sentence(comparison)) if sentence],
        settings=sections.settings(page),
        methods=sections.methods(page),
        provenance=[(run, sections.provenance(run.provenance)) for run in page.runs],
        losses=sections.losses(page),
    )


def _sentences(page: Page, verdict: str) -> list[str]:
    """What stands below the verdict, which is not said twice."""
    words = comparison_sentences(page.result) if page.result else behaviour_sentences(page.comparison)
    advice = page.advice
    if page.result is None and page.runs[0].settings.get("reward.placebo"):
        words = [PLACEBO, *words]
    next_step = [f"Try next: {portable(advice.command)} ({advice.reason})"] if advice else []
    return [*(sentence.removeprefix(f"{verdict}. ") for sentence in words), *next_step]


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT_LETTERS else f"{text[:EXCERPT_LETTERS]}…"
