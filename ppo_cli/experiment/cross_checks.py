"""Checks that need more than one key: contradictions, and settings that can have no effect.

A setting without effect is an error, since a silent knob spoils an experiment.
Not here: the range of a single key (`schema`), anything that reads a file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ppo_cli.experiment.schema import TRACKERS, Experiment, Ppo
from ppo_cli.experiment.schema_index import closest_key, schema_keys, wildcard_path

FOLDER_NAME = re.compile(r"\w[\w.,=@+-]{0,99}")
GENERATION = ("evaluation.temperature", "evaluation.max_new_tokens")
"""How evaluations sample; runs that differ in it are compared only where both declare it."""
TREATABLE_KEYS = ("model.start", "model.warm_start", "prompts.train", "rollout.", *GENERATION)
"""Frozen keys whose difference counts as a treatment when two runs are compared."""
MIN_MINIBATCH_EPISODES = 4
"""Fewer episodes give no variance to normalise by."""
MIN_WHITENING_EPISODES = 8
"""TRL's own lower bound of episodes in a minibatch for whitened rewards."""


def contradictions(experiment: Experiment) -> list[str]:
    """All contradictions between keys whose single values are in range, each as `path: what is wrong`."""
    ppo, kl, evaluation = experiment.ppo, experiment.kl, experiment.evaluation
    problems = []
    if not experiment.goal.strip():
        problems.append("goal: must be one plain sentence that says what to align to, got nothing")
    if not FOLDER_NAME.fullmatch(experiment.name):
        problems.append(f"name: must be usable as a folder name without spaces, got '{experiment.name[:100]}'")
    if not experiment.reward.terms:
        problems.append("reward.terms: at least one term is needed, for example keeps_to_goal: {weight: 1.0}")
    problems += _minibatch_problems(ppo)
    if kl.target is not None and kl.stop_at is not None and kl.target >= kl.stop_at:
        problems.append(f"kl.target: {kl.target:g} must lie below kl.stop_at = {kl.stop_at:g}")
    if kl.target is not None and kl.coef == 0:
        problems.append("kl.coef: 0 cannot be steered towards kl.target; start from a positive value")
    if ppo.warmup_updates >= ppo.updates and ppo.warmup_updates > 0:
        problems.append(f"ppo.warmup_updates: {ppo.warmup_updates} must be less than ppo.updates = {ppo.updates}")
    if evaluation.temperature == 0 and evaluation.samples_per_prompt > 1:
        problems.append("evaluation.samples_per_prompt: at temperature 0 all samples are the same; set it to 1")
    return problems + _variable_problems(experiment) + _tracking_problems(experiment.tracking)


def _minibatch_problems(ppo: Ppo) -> list[str]:
    size, rest = divmod(ppo.episodes_per_update, ppo.minibatches)
    if rest:
        return [
            f"ppo.minibatches: {ppo.minibatches} does not divide ppo.episodes_per_update = {ppo.episodes_per_update}"
        ]
    if size < MIN_MINIBATCH_EPISODES:
        return [f"ppo.minibatches: leaves {size} episodes a minibatch; at least {MIN_MINIBATCH_EPISODES} are needed"]
    if ppo.whiten_rewards and size < MIN_WHITENING_EPISODES:
        return [f"ppo.whiten_rewards: needs at least {MIN_WHITENING_EPISODES} episodes in a minibatch"]
    return []


def _variable_problems(experiment: Experiment) -> list[str]:
    """A declared variable names two or more keys whose change would count as a treatment."""
    names = [str(name) for name in experiment.variable]
    problems = [f"variable: {name} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    for name in dict.fromkeys(names):
        known = schema_keys().get(wildcard_path(name))
        if known is None:
            close = closest_key(name)
            problems.append(f"variable: no key '{name}'{f'; did you mean {close}?' if close else ''}")
        elif name == "seed" or not (known.role == "treatment" or known.path.startswith(TREATABLE_KEYS)):
            problems.append(f"variable: {name} is no treatment, so nothing moves together with it")
    if len(names) == 1 and not names[0].startswith(GENERATION):
        problems.append(f"variable: {names[0]} alone counts as one treatment anyway; name two keys or none")
    return problems


def _tracking_problems(names: Sequence[str]) -> list[str]:
    problems = [f"tracking: {name} is named twice" for name in TRACKERS if names.count(name) > 1]
    for name in map(str, names):
        if name not in TRACKERS:
            close = difflib.get_close_matches(name.lower(), TRACKERS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(TRACKERS)}"
            problems.append(f"tracking: no tracker '{name}'; {hint}")
    return problems


def without_effect(experiment: Experiment, given: frozenset[str]) -> list[str]:
    """The keys among those given that can change nothing, each as `path: what it needs`."""
    is_hub_model = not experiment.model.start.startswith(("builtin:", "/"))
    conditions = [
        ("kl.horizon", experiment.kl.target is not None, "kl.target is set"),
        (
            "kl.estimator",
            experiment.kl.coef > 0 or experiment.kl.target is not None,
            "kl.coef is above 0 or kl.target is set",
        ),
        ("reward.other_samples", experiment.reward.other == "reference", "reward.other is reference"),
        ("evaluation.interim_prompts", experiment.evaluation.every > 0, "evaluation.every is above 0"),
        ("model.revision", is_hub_model, "model.start is a Hugging Face id"),
    ]
    conditions += [
        (path, experiment.model.warm_start is not None, "model.warm_start names a file")
        for path in sorted(given)
        if path.startswith("model.sft.")
    ]
    return [
        f"{path}: has no effect unless {need}; remove it"
        for path, has_effect, need in conditions
        if path in given and not has_effect
    ]
