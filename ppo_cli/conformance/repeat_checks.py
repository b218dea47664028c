"""Checks of what must change nothing: padding, an observer, a resumed run, generation settings; and of the seed.

Not here: what an update learns (`update_checks`, `reward_checks`).
"""

from __future__ import annotations

import random

import numpy as np
import torch

from ppo_cli.conformance.adapter import Settings
from ppo_cli.conformance.check import check
from ppo_cli.conformance.trainings import Trainings, distance

SEVERAL_STEPS = {"epochs": 2, "minibatches": 2}
HENDERSON = "Henderson et al. 2018 (arXiv:1709.06560), random seeds and comparisons"


@check(
    "padding is inert",
    quantity="distance of the weights after a change of the padding token's embedding, as a share of the update",
    source="no paper: padding is no part of prompt or answer",
    at_most=1e-4,
)
def padding_is_inert(trainings: Trainings) -> float:
    """Trains on a model whose padding token has another embedding; prompts and answers have different lengths.

    The token is never sampled, so a difference means that padding was attended to or learnt from. Tolerance: rounding.
    """
    plain, other = (trainings.run(Settings(**SEVERAL_STEPS), 2, variant=name) for name in ("plain", "other padding"))
    return distance(other.weights[2], plain.weights[2]) / distance(plain.weights[2], trainings.start)


@check(
    "the generation settings of a model folder are inert",
    quantity="share of the first update's answers that a repetition penalty in generation_config.json changes",
    source="Schulman et al. 2017 (arXiv:1707.06347), section 3: answers are sampled from the old policy itself",
    at_most=0.0,
)
def generation_settings_are_inert(trainings: Trainings) -> float:
    """Trains on a folder whose generation_config.json has a repetition penalty of 1.5, as some instruct models do.

    Answers that a penalty changed are not samples of the policy whose probabilities the ratio is made of.
    Tolerance: none.
    """
    plain, other = (trainings.run(Settings(), 1, variant=name).episodes[0] for name in ("plain", "repetition penalty"))
    return sum(one != two for one, two in zip(plain, other, strict=True)) / len(plain)


@check(
    "one seed gives one result",
    quantity="distance of the weights of two trainings with one seed",
    source=HENDERSON,
    at_most=0.0,
)
def seed_is_exact(trainings: Trainings) -> float:
    """Trains twice from one seed, with the global random generators of Python, numpy and torch in other states.

    Tolerance: none, on the same machine.
    """
    first, second = (trainings.run(Settings(**SEVERAL_STEPS), 2, global_seed=seed) for seed in (0, 1))
    return distance(second.weights[2], first.weights[2])


@check(
    "another seed gives another result",
    quantity="distance of the weights of two trainings with different seeds",
    source=HENDERSON,
    at_least=1e-3,
)
def seed_acts(trainings: Trainings) -> float:
    """Trains from another seed; what a seed does not change cannot be repeated with several of them.

    Tolerance: far below the movement of one step.
    """
    first, second = (trainings.run(Settings(**SEVERAL_STEPS, seed=seed), 2) for seed in (1, 2))
    return distance(second.weights[2], first.weights[2])


def draw_from_global_generators() -> None:
    """What an evaluation between two updates may do."""
    random.random()
    np.random.random(3)  # noqa: NPY002 - the generator that libraries share
    torch.rand(3)


@check(
    "an observer changes nothing",
    quantity="distance of the weights of a training that was observed after each update",
    source=HENDERSON,
    at_most=0.0,
)
def observer_is_inert(trainings: Trainings) -> float:
    """Draws from the global random generators after each update, as an evaluation does.

    Tolerance: none, on the same machine.
    """
    settings = Settings(**SEVERAL_STEPS)
    plain, observed = (trainings.run(settings, 2, observe=what) for what in (None, draw_from_global_generators))
    return distance(observed.weights[2], plain.weights[2])


@check(
    "a resumed training continues exactly",
    quantity="distance of the weights after 4 updates from those of a training that was stopped after 2",
    source=HENDERSON,
    at_most=0.0,
    needs="resume",
)
def resume_is_exact(trainings: Trainings) -> float:
    """Saves after 2 updates, loads into a new training, and continues to 4.

    A critic, optimizer state, position in the data or random state that was not saved shows. Tolerance: none.
    """
    settings = Settings(**SEVERAL_STEPS)
    whole = trainings.run(settings, 4)
    return distance(trainings.resumed(settings, 2, 4).weights[-1], whole.weights[-1])
