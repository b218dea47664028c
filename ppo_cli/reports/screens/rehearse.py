"""The screen of `ppo rehearse`: reward against KL, behaviour of the highest-rewarded answers, answers to read.

Not here: best-of-n itself (`preflight.best_of_samples`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.rehearsal import BestOfRow, RehearsalResult, RewardedAnswer
from ppo_cli.reports import formatting
from ppo_cli.reports.screens.elements import exchange, goal_line
from ppo_cli.reports.tables import behaviour_table, plain_table, plain_text

BAR = "█"
BAR_COLUMNS = 24


def rehearsal_screen(result: RehearsalResult) -> RenderableType:
    """What `ppo rehearse` ends with."""
    which = "all" if result.prompts == result.train_prompts else f"{result.prompts} of {result.train_prompts}"
    draws = f"{which} training prompts × {result.samples_per_prompt} answers of the start model, seed {result.seed}"
    warnings = [plain_text(f"! {warning}", style="yellow") for warning in result.warnings]
    return Group(
        plain_text(result.name, style="bold"),
        goal_line(result.goal),
        Text(draws, style="dim"),
        Text(),
        _curve(result.curve),
        Text(
            "The gain is over an average answer to the same prompt, with its 95 % interval over prompts.", style="dim"
        ),
        Text(),
        behaviour_table(result.best_of_4, "average", "best of 4"),
        Text(),
        behaviour_table(result.best_of_16, "average", f"best of {result.samples_per_prompt}"),
        Text(),
        *_answers(f"The {len(result.highest)} highest-rewarded answers", result.highest),
        *_answers(f"The {len(result.lowest)} lowest-rewarded answers", result.lowest),
        *warnings,
        *([Text()] if warnings else []),
        plain_text(result.conclusion, style="bold"),
    )


def _curve(rows: Sequence[BestOfRow]) -> RenderableType:
    table = plain_table("best of")
    for heading in ("KL at most", "reward", "gain", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("share of the largest gain", no_wrap=True)
    for row in rows:
        interval = f"[{formatting.signed(row.gain.low_95, 2)}, {formatting.signed(row.gain.high_95, 2)}]"
        share = "" if row.share is None else f"{BAR * round(BAR_COLUMNS * row.share)} {formatting.percent(row.share)}"
        table.add_row(
            str(row.n),
            f"{row.kl:.2f} nats",
            formatting.signed(row.reward, 2),
            formatting.signed(row.gain.mean, 2),
            interval if row.n > 1 else formatting.MISSING,
            share.strip(),
        )
    return table


def _answers(title: str, answers: Sequence[RewardedAnswer]) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(f"{title}, against the mean of their prompt:", style="bold")]
    for shown in answers:
        parts += exchange(shown.prompt, shown.answer, formatting.signed(shown.gain, 2))
        terms = ", ".join(f"{name} {formatting.plain(value, 2)}" for name, value in shown.terms.items())
        parts.append(plain_text(f"    {terms}", style="dim"))
    return [*parts, Text()]
