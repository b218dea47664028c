"""How often the rule and the second judge label an answer alike, per prompt and over all prompts.

Not here: either judge (`behaviours.refusal`, `behaviours.embedding_judge`), the alarm (`alarms.judges_disagree`).
"""

from __future__ import annotations

import numpy as np

from ppo_cli.records.second_judge import SECOND_JUDGE, SECOND_LABEL, SecondJudgeAgreement
from ppo_cli.stats.label_matrix import Floats, LabelMatrix


def agreeing_answers(matrix: LabelMatrix) -> Floats | None:
    """1 where both judges say the same, else 0 [prompts, samples]; None where there is no second judge.

    NaN where the rule does not read the answer's language.
    """
    first, second = matrix.labels.get("refused"), matrix.labels.get(SECOND_LABEL)
    if first is None or second is None:
        return None
    known = np.isfinite(first) & np.isfinite(second) & (matrix.labels.get("unread", np.zeros_like(first)) != 1)
    return np.where(known, (first == second).astype(float), np.nan)


def agreement_share(matrix: LabelMatrix) -> float | None:
    """The share of answers that both judges label alike; None where there are none that both read."""
    agreeing = agreeing_answers(matrix)
    return None if agreeing is None or not np.isfinite(agreeing).any() else float(np.nanmean(agreeing))


def second_judge_agreement(before: LabelMatrix, after: LabelMatrix) -> SecondJudgeAgreement | None:
    """The same of two policies; None where the second judge did not label the answers of both."""
    shares = agreement_share(before), agreement_share(after)
    found = [matrix for matrix in map(agreeing_answers, (before, after)) if matrix is not None]
    if shares[0] is None or shares[1] is None:
        return None
    answers = sum(int(np.isfinite(agreeing).sum()) for agreeing in found)
    return SecondJudgeAgreement(judge=SECOND_JUDGE, before=shares[0], after=shares[1], answers=answers)
