"""Two policies on the same prompts: changes, verdicts against chance, and the prompts whose answers flipped.

Not here: whether the two may be compared (`comparability`), how it is shown (`reports`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, Flip, MeasureChange, Verdict
from ppo_cli.records.measures import Measure
from ppo_cli.records.reasoning import after_reasoning
from ppo_cli.stats.corpus_metrics import CORPORA
from ppo_cli.stats.intervals import PairedResult, minimum_detectable, paired_difference, why_no_value
from ppo_cli.stats.label_matrix import Floats, LabelMatrix, common_matrices, pool_seeds
from ppo_cli.stats.second_judge import second_judge_agreement
from ppo_cli.stats.significance import benjamini_hochberg, holm

ALPHA = 0.05
MIN_PROMPTS = 10
"""With fewer prompts than this nothing is concluded."""
MIN_CHANGED_PROMPTS = 6
"""With fewer changed prompts no paired test can be significant: 2 / 2^5 is above ALPHA."""
MIN_FLIP_SHARE = 0.5
"""A prompt has flipped when the share of its answers with the label changed by at least this."""
MIN_ALIKE = 1e-3
"""Least correlation between the answers to one prompt, and its least distance from 1: a beta has neither 0 nor 1."""
YES_NO_STATISTICS = ("refused", "asks", "ended", "empty")
"""Yes/no labels; flips are counted in the primary's label if it is one of them."""


def compare(
    names: tuple[str, str],
    before: LabelMatrix,
    after: LabelMatrix,
    measures: Sequence[Measure],
    prompts: Mapping[str, Prompt],
    *,
    primary: str,
    smallest_effect: float,
) -> Comparison:
    """Compares policy B with policy A over the prompts that both answered.

    Args:
        names: what to call A and B.
        before: labels of A.
        after: labels of B.
        measures: as for `compare_groups`.
        prompts: by id, for the flips.
        primary: name of the measure that the verdict is about, fixed before the runs.
        smallest_effect: smallest change of the primary that matters, in percentage points for shares.
    """
    return compare_groups(names, [before], [after], measures, prompts, primary=primary, smallest_effect=smallest_effect)


def compare_groups(
    names: tuple[str, str],
    before: Sequence[LabelMatrix],
    after: Sequence[LabelMatrix],
    measures: Sequence[Measure],
    prompts: Mapping[str, Prompt],
    *,
    primary: str,
    smallest_effect: float,
) -> Comparison:
    """Compares arm B with arm A, each the mean of its seeds, over the prompts that all of them answered.

    Args:
        names: what to call A and B.
        before: labels of A, one matrix per seed.
        after: labels of B, one matrix per seed.
        measures: what to compare. The primary is judged alone, the other headlines after Holm's correction, the
            exploratory details after Benjamini and Hochberg's.
        prompts: by id, for the flips.
        primary: name of the measure that the verdict is about, fixed before the runs.
        smallest_effect: smallest change of the primary that matters, in percentage points for shares.
    """
    arm_a, arm_b = common_matrices(before, after)
    table_a, table_b = pool_seeds(arm_a), pool_seeds(arm_b)

    by_name = {measure.name: measure for measure in measures}
    main = by_name[primary]
    by_name[primary] = with_margin(main, smallest_effect)
    results = {name: paired_difference(measure, arm_a, arm_b) for name, measure in by_name.items()}

    tested = [name for name, paired in results.items() if paired and name != primary and not _is_info(by_name[name])]
    corrected: dict[str, float] = {}
    for details, correct in ((False, holm), (True, benjamini_hochberg)):
        among = [name for name in tested if by_name[name].eval_only == details]
        corrected |= zip(among, correct([_p_value(results[name]) for name in among]), strict=True)
    changes = [
        _change(measure, paired, corrected.get(name), name == primary)
        if (paired := results[name]) is not None
        else _no_change(measure, _reason(measure, names, arm_a, arm_b))
        for name, measure in by_name.items()
    ]
    rate_label = flip_label(main)
    return Comparison(
        before=names[0],
        after=names[1],
        primary=primary,
        changes=tuple(sorted(changes, key=lambda change: change.name != primary)),
        flips=_flips(table_a, table_b, prompts, rate_label),
        expected_flip_rate=expected_flip_rate(table_a.labels.get(rate_label)),
        prompts=len(table_a.prompt_ids),
        samples_per_prompt=len(arm_a[0].texts[0]) if table_a.prompt_ids else 0,
        second_judge=second_judge_agreement(table_a, table_b),
    )


def with_margin(primary: Measure, smallest_effect: float) -> Measure:
    """The primary measure with the config's smallest change that matters, in percentage points for shares."""
    return replace(primary, equivalence_margin=smallest_effect / (100 if primary.unit == "%" else 1))


def flip_label(primary: Measure) -> str:
    """The yes/no label whose flips are counted: the primary's own, or refusals."""
    return primary.label if primary.label in YES_NO_STATISTICS else "refused"


def expected_flip_rate(labels: Floats | None) -> float | None:
    """Share of prompts that would flip if the same policy were sampled again.

    Each prompt has a rate of its own, from a beta distribution that is fitted to all prompts by its moments. Taken at
    its own few answers alone, a prompt that answered alike each time could never flip, and too few would.

    Args:
        labels: yes/no [prompts, samples]; None or one sample per prompt gives None.
    """
    labels = None if labels is None else labels[np.isfinite(labels).all(axis=1)]
    if labels is None or labels.size == 0 or labels.shape[1] < 2:
        return None
    samples, seen = labels.shape[1], labels.sum(axis=1)
    if seen.sum() in (0, labels.size):
        return 0.0
    above, below = _beta_of_prompts(labels.mean(axis=1), samples)
    again = np.arange(samples + 1)
    yes, no = above + seen[:, None], below + samples - seen[:, None]
    chances = stats.betabinom.pmf(again, samples, yes, no)
    flips = np.abs(again - seen[:, None]) >= MIN_FLIP_SHARE * samples
    return float((chances * flips).sum(axis=1).mean())


def _beta_of_prompts(shares: Floats, samples: int) -> tuple[float, float]:
    """The two parameters of the beta distribution of prompts' rates, by moments.

    Args:
        shares: of each prompt's answers [prompts], neither all 0 nor all 1.
        samples: answers per prompt.
    """
    rate = float(shares.mean())
    within = float((shares * (1 - shares)).mean()) * samples / (samples - 1)
    between = float(shares.var(ddof=1)) - within / samples if len(shares) > 1 else 0.0
    alike = min(max(between / (between + within), MIN_ALIKE), 1 - MIN_ALIKE)
    size = 1 / alike - 1
    return rate * size, (1 - rate) * size


def _reason(
    measure: Measure, names: tuple[str, str], before: Sequence[LabelMatrix], after: Sequence[LabelMatrix]
) -> str | None:
    """Which policy has no value, and why; None where there is no data."""
    found = ((name, why_no_value(measure, *arm)) for name, arm in zip(names, (before, after), strict=True) if arm)
    return " and ".join(f"{name} {why}" for name, why in found if why is not None) or None


def _no_change(measure: Measure, reason: str | None) -> MeasureChange:
    return MeasureChange(
        name=measure.name,
        before=None,
        after=None,
        difference=None,
        low_95=None,
        high_95=None,
        p_value=None,
        p_adjusted=None,
        prompts=0,
        prompts_up=0,
        prompts_down=0,
        minimum_detectable=None,
        verdict="INCONCLUSIVE",
        reason=reason,
    )


def _change(measure: Measure, paired: PairedResult, corrected: float | None, is_primary: bool) -> MeasureChange:
    verdict = _verdict(measure, paired, paired.p_value if is_primary else corrected)
    change = MeasureChange(
        name=measure.name,
        before=paired.before,
        after=paired.after,
        difference=paired.difference,
        low_95=paired.low_95,
        high_95=paired.high_95,
        low_90=paired.interval_90[0],
        high_90=paired.interval_90[1],
        p_value=paired.p_value,
        p_adjusted=corrected,
        prompts=paired.prompts,
        prompts_up=paired.prompts_up,
        prompts_down=paired.prompts_down,
        minimum_detectable=minimum_detectable(paired.error),
        verdict=verdict,
    )
    return _ratio_from_log(change) if measure.statistic == "geometric_mean" else change


def _verdict(measure: Measure, paired: PairedResult, p_value: float | None) -> Verdict:
    if _is_info(measure):
        return "info"
    if paired.prompts < MIN_PROMPTS or not (math.isfinite(paired.low_95) and math.isfinite(paired.high_95)):
        return "INCONCLUSIVE"
    excludes_zero = paired.low_95 > 0 or paired.high_95 < 0
    changed = paired.prompts_up + paired.prompts_down
    too_few_changed = measure.statistic not in CORPORA and changed < MIN_CHANGED_PROMPTS
    if excludes_zero and not too_few_changed and (p_value is None or p_value < ALPHA):
        return "CHANGED"
    if -measure.equivalence_margin < paired.interval_90[0] and paired.interval_90[1] < measure.equivalence_margin:
        return "EQUIVALENT"
    return "INCONCLUSIVE" if too_few_changed else "NO CHANGE DETECTED"


def _is_info(measure: Measure) -> bool:
    return measure.family in ("kl", "entropy")


def _p_value(paired: PairedResult | None) -> float:
    return paired.p_value if paired else 1.0


def _ratio_from_log(change: MeasureChange) -> MeasureChange:
    def exp(value: float | None) -> float | None:
        return None if value is None else math.exp(value)

    return replace(
        change,
        before=exp(change.before),
        after=exp(change.after),
        difference=exp(change.difference),
        low_95=exp(change.low_95),
        high_95=exp(change.high_95),
        low_90=exp(change.low_90),
        high_90=exp(change.high_90),
        minimum_detectable=exp(change.minimum_detectable),
    )


def _flips(a: LabelMatrix, b: LabelMatrix, prompts: Mapping[str, Prompt], label: str) -> tuple[Flip, ...]:
    """The prompts whose share of `label` changed by at least MIN_FLIP_SHARE, largest change first."""
    if not a.prompt_ids or label not in a.labels or label not in b.labels:
        return ()
    rate_a, rate_b = a.labels[label].mean(axis=1), b.labels[label].mean(axis=1)
    flipped = [row for row in range(len(a.prompt_ids)) if abs(rate_b[row] - rate_a[row]) >= MIN_FLIP_SHARE]
    flipped.sort(key=lambda row: (-abs(rate_b[row] - rate_a[row]), a.prompt_ids[row]))
    return tuple(
        Flip(
            prompt_id=a.prompt_ids[row],
            prompt=prompts[a.prompt_ids[row]].text,
            category=a.categories[row],
            expect=prompts[a.prompt_ids[row]].expect,
            before_rate=float(rate_a[row]),
            after_rate=float(rate_b[row]),
            before_answer=_typical(a, row, label),
            after_answer=_typical(b, row, label),
        )
        for row in flipped
    )


def _typical(table: LabelMatrix, row: int, label: str) -> str:
    """The first answer that does what most answers to this prompt do."""
    labels = table.labels[label][row]
    majority = float(labels.mean() >= MIN_FLIP_SHARE)
    chosen = int(np.flatnonzero(labels == majority)[0])
    reasoning = table.labels.get("reasoning_words")
    return after_reasoning(0 if reasoning is None else reasoning[row][chosen], table.texts[row][chosen])
