"""Whether the prompts can carry an experiment: apart, wide enough, and enough for the effect looked for.

Not here: reading them, rendering them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ppo_cli.alarms.narrow_data import MIN_TOPIC_SHARE, MIN_TOPICS, TOPIC_SIMILARITY
from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.preflight.check_lines import condition_check
from ppo_cli.prompts.leakage import Overlap, normalise
from ppo_cli.records.answers import Prompt, PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.records.measures import Sample
from ppo_cli.rewards.audit.preference_accuracy import does_as_expected
from ppo_cli.stats.intervals import estimate, minimum_detectable
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.text.similarity import count_topics, nearest_texts

LIKE_TRAINING = 0.8
"""TF-IDF cosine from which an evaluation prompt is a training prompt in other order."""
COARSE_STEP = 25.0
"""Points of a rate; a stratum that can show nothing smaller says little. Own choice."""
Z95 = 1.96


def overlap_check(overlaps: Sequence[Overlap]) -> Check:
    """Whether evaluation prompts were learnt from."""
    same = [found for found in overlaps if found.kind != "near-duplicate"]
    first = f", such as '{overlaps[0].eval_id}' and '{overlaps[0].other_id}'" if overlaps else ""
    return condition_check(
        "evaluation apart from training",
        not overlaps,
        f"{len(same)} shared, {len(overlaps) - len(same)} near-duplicates{first}",
        "none",
        "an evaluation that was trained on measures memory",
        "Take them out of one of the files.",
    )


def diversity_checks(train: Sequence[Prompt], evaluation: Sequence[Prompt]) -> list[Check]:
    """Wording shared between the sets, prompts given twice, and topics, as the alarm will count them."""
    texts = tuple(prompt.text for prompt in train)
    likeness, _ = nearest_texts(tuple(prompt.text for prompt in evaluation), texts)
    alike = int((likeness >= LIKE_TRAINING).sum())
    twice = len(train) - len({normalise(text) for text in texts})
    found = count_topics(texts, TOPIC_SIMILARITY)
    wanted = max(MIN_TOPICS, math.ceil(MIN_TOPIC_SHARE * len(train)))
    return [
        condition_check(
            "evaluation in words of its own",
            alike == 0,
            f"{alike} of {len(evaluation)} prompts have nearly the words of a training prompt",
            "none",
            "a policy answers what it knows by heart",
            "Reword them, or take them out of one of the files.",
            otherwise="warn",
        ),
        condition_check(
            "training prompts differ",
            twice == 0,
            f"{twice} of {len(train)} are there twice",
            "none",
            "a prompt that is there twice counts twice",
            "Leave one of each out.",
            otherwise="warn",
        ),
        condition_check(
            "training is wide enough",
            found >= wanted,
            f"{found} topics in {len(train)} prompts",
            f"{wanted} or more",
            "what a policy learns on few topics it seldom does on others",
            "Add other topics and other wording, on both sides of the boundary.",
            otherwise="warn",
        ),
    ]


def power_checks(trial: PromptAnswers, evaluation: Sequence[Prompt], settings: Evaluation) -> list[Check]:
    """Whether the evaluation set is large enough for the effect looked for, and what each stratum can show.

    The spread is that of the trial, on training prompts; two policies are taken as independent, while paired draws
    make a real comparison somewhat sharper.
    """
    return [*_smallest_effect(trial, evaluation, settings), *_strata(trial, evaluation)]


def _smallest_effect(trial: PromptAnswers, evaluation: Sequence[Prompt], settings: Evaluation) -> list[Check]:
    measure = measure_named(settings.primary)
    samples = [
        Sample(
            prompt_id=p.id, sample=k, answer=a.text, token_count=a.token_count, finish=a.finish, kl=None, entropy=None
        )
        for p, row in trial.rows()
        for k, a in enumerate(row)
    ]
    found = estimate(measure, label_matrix(label_sample(trial.prompts, samples)))
    if found.value is None or found.low_95 is None or found.high_95 is None or found.prompts < 2:
        return []
    ends = (found.low_95, found.high_95)
    if measure.statistic == "geometric_mean":
        ends = (math.log(max(ends[0], 1e-9)), math.log(max(ends[1], 1e-9)))
    error = (ends[1] - ends[0]) / (2 * Z95) * math.sqrt(2 * len(trial.prompts) / len(evaluation))
    smallest = minimum_detectable(error)
    if smallest is None:
        return []
    in_points = measure.unit == "%"
    smallest, unit = (100 * smallest, " points") if in_points else (smallest, "")
    wanted = settings.smallest_effect
    return [
        condition_check(
            "enough prompts for the effect",
            smallest <= wanted,
            f"{len(evaluation)} prompts can show {smallest:.2g}{unit} of {measure.name}",
            f"evaluation.smallest_effect = {wanted:g} or less",
            "a smaller change could not be told from chance",
            f"Take about {math.ceil(len(evaluation) * (smallest / wanted) ** 2)} evaluation prompts, or look for more.",
            otherwise="warn",
        )
    ]


def _strata(trial: PromptAnswers, evaluation: Sequence[Prompt]) -> list[Check]:
    """Sizes of the evaluation's strata and the smallest change of a rate that each can show, in points."""
    rates: dict[str, list[float]] = defaultdict(list)
    for prompt, row in trial.rows():
        rates[_stratum(prompt)].append(float(np.mean([does_as_expected(prompt, answer) for answer in row])))
    sizes: dict[str, int] = defaultdict(int)
    for prompt in evaluation:
        sizes[_stratum(prompt)] += 1
    shown = {name: _points(rates.get(name, []), size) for name, size in sizes.items()}
    poor = [name for name, points in shown.items() if points > COARSE_STEP]
    return [
        condition_check(
            "strata are large enough",
            not poor,
            ", ".join(f"{name} {sizes[name]}: ±{points:.0f} pp" for name, points in sorted(shown.items())),
            f"{COARSE_STEP:.0f} points or finer",
            "the smallest change of a rate that can be told from chance there",
            f"Add evaluation prompts of: {', '.join(poor)}.",
            otherwise="warn",
        )
    ]


def _points(rates: Sequence[float], size: int) -> float:
    """Smallest detectable change of a rate; with few prompts tried, a spread of 0.35 is taken for granted."""
    spread = max(float(np.std(rates, ddof=1)), 0.1) if len(rates) >= 5 else 0.35
    found = minimum_detectable(spread * math.sqrt(2 / size))
    return 100 * (found or 0.0)


def _stratum(prompt: Prompt) -> str:
    return prompt.category.partition(".")[0]
