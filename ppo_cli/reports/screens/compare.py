"""The screen that ends `ppo compare`: the base run against each of the others.

Not here: the sentences (`reports.sentences`), Markdown, the HTML page.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.experiment.values import format_value
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting
from ppo_cli.reports.alarms import advice_lines, alarms_of_runs
from ppo_cli.reports.screens.elements import flips_block, head_panel
from ppo_cli.reports.seed_table import seeds_table
from ppo_cli.reports.sentences import AGREES, comparison_sentences, seeds_note
from ppo_cli.reports.tables import behaviour_table, plain_text


def comparison_screen(results: Sequence[ComparisonResult]) -> RenderableType:
    """What `ppo compare` ends with."""
    parts: list[RenderableType] = []
    for result in results:
        comparison = result.comparison
        title = f"{result.before} → {result.after}"
        parts += [
            head_panel(title, result.goal, comparison_sentences(result), comparison),
            *_comparability(result),
            *_warnings(result),
            Text(),
            behaviour_table(comparison, "A", "B", seeds=result.seed_comparison),
            Text("A is the first run, B the second; change is B − A.", style="dim"),
            Text(),
            *([seeds_table(result.seed_comparison), Text()] if result.seed_comparison else []),
            *flips_block(comparison, "A", "B"),
            Text(seeds_note(result), style="dim"),
            *[plain_text(f"--fail-if {formatting.condition_sentence(condition)}") for condition in result.fail_if],
            *alarms_of_runs(result.alarms),
            *advice_lines(result.advice),
            Text(),
        ]
    return Group(*parts[:-1])


def _comparability(result: ComparisonResult) -> list[RenderableType]:
    """What was checked to be the same, and everything that differs."""
    same = "   ".join(f"✓ {AGREES.get(name, name)}" for name in result.same_groups)
    lines = [Text(f"Comparable   {same}   ✓ scored with the same rules")]
    for key, (old, new) in result.treatments.items():
        lines.append(plain_text(f"Changed      {key}  {format_value(old)} → {format_value(new)}", style="bold"))
    if result.joint_variable:
        lines.append(plain_text(f"Declared     {', '.join(result.joint_variable)} as one variable, before training"))
    if result.seed_comparison is not None:
        a, b = (", ".join(map(str, seeds)) for seeds in result.seed_comparison.seeds)
        lines.append(Text(f"Seeds        {a} → {b}"))
    elif result.seeds[0] != result.seeds[1]:
        lines.append(Text(f"Seed         {result.seeds[0]} → {result.seeds[1]}"))
    for key, (old, new) in result.confounders.items():
        lines.append(plain_text(f"Confounder   ! {key}  {old} → {new}", style="yellow"))
    return [*lines]


def _warnings(result: ComparisonResult) -> list[RenderableType]:
    """What has to stand above the numbers: waived checks, and prompts that leaked."""
    lines = [f"! {reason}" for reason in result.waived]
    lines += [
        f"! LEAK: {count} evaluation prompts overlap the training data of {run}; they show memorisation, not behaviour"
        for run, count in result.leaks.items()
    ]
    return [plain_text(line, style="bold red") for line in lines]
