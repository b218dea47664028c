"""What the second judge of refusals is called in records, and how often both judges agree.

Not here: the judge (`behaviours.embedding_judge`), counting (`stats.second_judge`).
"""

from __future__ import annotations

from dataclasses import dataclass

SECOND_JUDGE = "embedding/1"
"""The version of the second judge; raised whenever its labels of any answer may change."""
SECOND_LABEL = "refused_by_embedding"
"""Its label, beside the rule's `refused`; only where the extra `judge` was installed."""


@dataclass(frozen=True, kw_only=True)
class SecondJudgeAgreement:
    """How often the rule and the second judge label an answer alike."""

    judge: str
    """The version of the second judge."""
    before: float
    """Share of the answers of A, on the prompts that are compared."""
    after: float
    """The same of B."""
    answers: int
    """Of both."""
