"""The glossary of behaviour measures: `make glossary` writes docs/glossary.md from the table of measures.

Not here: the definitions themselves (`measures`).
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from ppo_cli.behaviours.label_answers import RULES
from ppo_cli.behaviours.measures import MEASURES
from ppo_cli.records.measures import Measure

HEAD = """# Glossary of behaviour measures

Written by `make glossary` from the tables in
[`ppo_cli/behaviours/measures/`](../ppo_cli/behaviours/measures/__init__.py); change them there. Intervals and tests are
described in [statistics](statistics.md). A measure marked † on a screen is also scored by a term of that run's reward,
so a gain shows that PPO optimised it, not that it generalises.
"""
BETTER = {"higher": "higher is better", "lower": "lower is better", None: "no better direction"}


def glossary() -> str:
    """The page in Markdown: a section per family, an entry per measure."""
    parts = [HEAD]
    for family, measures in groupby(sorted(MEASURES, key=lambda measure: measure.family), lambda item: item.family):
        rules = f" (rule {RULES[family]})" if family in RULES else ""
        parts.append(f"## {family}{rules}\n")
        parts += [_entry(measure) for measure in measures]
    return "\n".join(parts)


def _entry(measure: Measure) -> str:
    where = (
        "`ppo eval`, and where the primary measure is of this family" if measure.eval_only else "every result screen"
    )
    lines = [
        f"**{measure.name}**, {measure.title.strip()}; {measure.unit or 'no unit'}; {BETTER[measure.better]}.",
        f"{measure.definition[0].upper()}{measure.definition[1:]}.",
        f"- over: {_prompts(measure)}; shown by {where}",
        f"- error: {measure.error}",
        f"- source: {measure.source}",
    ]
    return "\n".join(lines) + "\n"


def _prompts(measure: Measure) -> str:
    conditions = [f"`expect` {measure.expect}"] if measure.expect else []
    conditions += [f"category {measure.category_prefix}.*"] if measure.category_prefix else []
    return f"prompts with {' and '.join(conditions)}" if conditions else "all prompts"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(glossary(), encoding="utf-8")
