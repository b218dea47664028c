"""How a text begins: its first words.

Not here: how often one opening occurs (`stats.corpus_metrics`, `alarms.reward_hacking`, `rewards.audit.shortcuts`).
"""

from __future__ import annotations

from ppo_cli.text.words import words

OPENING_WORDS = 4
"""Words that make an opening, for the measure `style.top_opening` and the alarm of reward hacking."""


def opening(text: str, length: int = OPENING_WORDS) -> tuple[str, ...]:
    """The first `length` words in lower case; all words of a text that has fewer."""
    return tuple(words(text)[:length])
