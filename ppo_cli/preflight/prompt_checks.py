"""Checks of the prompt sets: no overlap, enough topics, and enough evaluation prompts for the effect.

Not here: reading prompts (`prompts`), their tokens (`tokenizer_checks`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ppo_cli.alarms.narrow_data import MIN_TOPIC_SHARE, MIN_TOPICS, TOPIC_SIMILARITY
from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.measure_types import OWN
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.prompts.leakage import Overlap, comparable_texts, normalise
from ppo_cli.records.answers import Prompt, PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.records.measures import Sample
from ppo_cli.rewards.audit.preference_accuracy import does_as_expected
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.stats.intervals import estimate, minimum_detectable
from ppo_cli.stats.label_matrix import cluster_name, label_matrix
from ppo_cli.text.similarity import count_topics, nearest_texts

MAX_SIMILARITY = 0.8
"""TF-IDF cosine from which an evaluation prompt has the words of a training prompt in another order."""
MAX_DETECTABLE_POINTS = 25.0
"""Percentage points; a stratum that cannot show a smaller change of a rate is too small. Own choice."""
MIN_SPREAD_PROMPTS, ASSUMED_SPREAD, MIN_SPREAD = 5, 0.35, 0.1
"""With fewer prompts of a stratum than the first, its standard deviation is assumed to be the second; never below the
third."""
Z95 = 1.96


def overlap_check(overlaps: Sequence[Overlap]) -> Check:
    """Whether any evaluation prompt is one that the policy learns from."""
    near = sum(overlap.kind == "near-duplicate" for overlap in overlaps)
    example = f", such as '{overlaps[0].eval_id}' and '{overlaps[0].other_id}'" if overlaps else ""
    return Check.from_condition(
        "no train/eval overlap",
        not overlaps,
        value=f"{len(overlaps) - near} shared, {near} near-duplicates{example}",
        threshold="none",
        reason="an evaluation on prompts that were trained on measures memory",
        next_step="Take them out of one of the files.",
    )


def diversity_checks(train: Sequence[Prompt], evaluation: Sequence[Prompt]) -> list[Check]:
    """Similarity between the sets, repeated prompts, and the number of topics, counted as the alarm counts them."""
    comparable = comparable_texts([*train, *evaluation])
    texts, eval_texts = tuple(comparable[: len(train)]), tuple(comparable[len(train) :])
    similarity, _ = nearest_texts(eval_texts, texts)
    similar = int((similarity >= MAX_SIMILARITY).sum())
    repeated = len(train) - len({normalise(text) for text in texts})
    topics = count_topics(texts, TOPIC_SIMILARITY)
    min_topics = max(MIN_TOPICS, math.ceil(MIN_TOPIC_SHARE * len(train)))
    return [
        Check.from_condition(
            "evaluation prompts differ from training",
            similar == 0,
            value=f"{similar} of {len(evaluation)} have nearly the words of a training prompt",
            threshold="none",
            reason="a policy may have memorised the answer to them",
            next_step="Reword them, or take them out of one of the files.",
            otherwise="warn",
        ),
        Check.from_condition(
            "no repeated training prompts",
            repeated == 0,
            value=f"{repeated} of {len(train)} are repeated",
            threshold="none",
            reason="a repeated prompt counts twice",
            next_step="Keep one of each.",
            otherwise="warn",
        ),
        Check.from_condition(
            "enough training topics",
            topics >= min_topics,
            value=f"{topics} topics in {len(train)} prompts",
            threshold=f"{min_topics} or more",
            reason="a behaviour learnt on few topics seldom extends to others",
            next_step="Add prompts on other topics and in other words, for every `expect`.",
            otherwise="warn",
        ),
    ]


def power_checks(
    samples: PromptAnswers, evaluation: Sequence[Prompt], settings: Evaluation, measures: OwnMeasures | None = None
) -> list[Check]:
    """Whether the evaluation set is large enough for the effect to detect, and what change each stratum can show.

    The standard deviation is that of the start model's answers to training prompts. The two policies are treated as
    independent; a real comparison is somewhat more precise, since its draws are paired. Where `evaluation.cluster` says
    that prompts vary together, the effect to detect is over clusters.

    Args:
        samples: answers of the start model to training prompts.
        evaluation: the evaluation set.
        settings: primary measure, smallest effect and clusters.
        measures: those of the config, which score the answers where one of them is the primary measure.
    """
    return [*_effect_check(samples, evaluation, settings, measures), _strata_check(samples, evaluation)]


def _effect_check(
    samples: PromptAnswers, evaluation: Sequence[Prompt], settings: Evaluation, measures: OwnMeasures | None
) -> list[Check]:
    measure = measure_named(settings.primary)
    rows = [
        Sample(prompt_id=prompt.id, index=index, answer=answer, kl=None)
        for prompt, row in samples.rows()
        for index, answer in enumerate(row)
    ]
    if measures is not None and measure.family == OWN:
        prompts = [prompt for prompt, row in samples.rows() for _ in row]
        values = measures.values(prompts, [sample.answer for sample in rows])
        rows = [replace(sample, own=own) for sample, own in zip(rows, values, strict=True)]
    matrix = label_matrix(label_sample(samples.prompts, rows))
    by_id = {prompt.id: prompt for prompt in samples.prompts}
    result = estimate(measure, matrix.clustered(settings.cluster, by_id))
    if result.value is None or result.low_95 is None or result.high_95 is None or result.prompts < 2:
        return []
    ends = (result.low_95, result.high_95)
    if measure.statistic == "geometric_mean":
        ends = (math.log(max(ends[0], 1e-9)), math.log(max(ends[1], 1e-9)))
    sampled, units = (_independent_units(prompts, settings.cluster) for prompts in (samples.prompts, evaluation))
    error = (ends[1] - ends[0]) / (2 * Z95) * math.sqrt(2 * sampled / units)
    smallest = minimum_detectable(error)
    if smallest is None:
        return []
    in_points = measure.unit == "%"
    smallest, unit = (100 * smallest, " points") if in_points else (smallest, "")
    target = settings.smallest_effect
    needed = math.ceil(units * (smallest / target) ** 2)
    kind = "evaluation prompts" if settings.cluster is None else f"values of {settings.cluster} among the prompts"
    clusters = "" if settings.cluster is None else f" in {units} clusters ({settings.cluster})"
    return [
        Check.from_condition(
            "enough prompts for the effect",
            smallest <= target,
            value=f"{len(evaluation)} prompts{clusters} can show {smallest:.2g}{unit} of {measure.name}",
            threshold=f"evaluation.smallest_effect = {target:g} or less",
            reason="a smaller change cannot be told from chance",
            next_step=f"Use about {needed} {kind}, or look for a larger effect.",
            otherwise="warn",
        )
    ]


def _independent_units(prompts: Sequence[Prompt], by: Literal["category", "pair_id"] | None) -> int:
    """How many things vary alone: clusters, or prompts where there are none."""
    return len(prompts) if by is None else len({cluster_name(prompt, by) for prompt in prompts})


def _strata_check(samples: PromptAnswers, evaluation: Sequence[Prompt]) -> Check:
    """Sizes of the evaluation's strata and the smallest change of a rate that each can show, in percentage points."""
    rates: dict[str, list[float]] = defaultdict(list)
    for prompt, row in samples.rows():
        rates[_stratum(prompt)].append(float(np.mean([does_as_expected(prompt, answer) for answer in row])))
    sizes: dict[str, int] = defaultdict(int)
    for prompt in evaluation:
        sizes[_stratum(prompt)] += 1
    detectable = {name: _detectable_points(rates.get(name, []), size) for name, size in sizes.items()}
    too_small = [name for name, points in detectable.items() if points > MAX_DETECTABLE_POINTS]
    return Check.from_condition(
        "enough prompts per stratum",
        not too_small,
        value=", ".join(f"{name} {sizes[name]}: ±{points:.0f} pp" for name, points in sorted(detectable.items())),
        threshold=f"±{MAX_DETECTABLE_POINTS:.0f} pp or less",
        reason="a smaller change of a rate in that stratum cannot be told from chance",
        next_step=f"Add evaluation prompts of: {', '.join(too_small)}.",
        otherwise="warn",
    )


def _detectable_points(rates: Sequence[float], size: int) -> float:
    """Smallest detectable change of a rate, in percentage points."""
    spread = max(float(np.std(rates, ddof=1)), MIN_SPREAD) if len(rates) >= MIN_SPREAD_PROMPTS else ASSUMED_SPREAD
    return 100 * (minimum_detectable(spread * math.sqrt(2 / size)) or 0.0)


def _stratum(prompt: Prompt) -> str:
    return prompt.category.partition(".")[0]
