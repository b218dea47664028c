"""Checks across the groups of a config: contradictions between keys, and settings that can have no effect.

A setting without effect is an error: whoever wrote it believes that it changes something.

Not here: the range of a single key (`schema`), contradictions within a reward term (`term_types`), files.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ppo_cli.experiment.paths import NO_FILE, named_terms
from ppo_cli.experiment.problems import Problem
from ppo_cli.experiment.schema import TRACKERS, Experiment, Ppo
from ppo_cli.experiment.schema_index import closest_key, key_of, keys_in, schema_keys
from ppo_cli.experiment.values import flatten, to_dict

FOLDER_NAME = re.compile(r"\w[\w.,=@+-]{0,99}")
GENERATION = ("evaluation.temperature", "evaluation.max_new_tokens")
"""How evaluations sample; runs that differ in it are compared only where both declare it."""
TREATABLE_KEYS = ("model.start", "model.warm_start", "prompts.train", "rollout.", *GENERATION)
"""Frozen keys whose difference counts as a treatment when two runs are compared."""
MIN_MINIBATCH_EPISODES = 4
"""Fewer episodes give no variance to normalise by."""
MIN_WHITENING_EPISODES = 8
"""TRL's own lower bound of episodes per minibatch for whitened rewards."""


def contradictions(experiment: Experiment) -> list[Problem]:
    """All contradictions between keys whose single values are in range."""
    ppo, kl, evaluation = experiment.ppo, experiment.kl, experiment.evaluation
    problems = []
    if not experiment.goal.strip():
        problems.append(Problem("goal", "must be one plain sentence that says what to align to, got nothing"))
    if not FOLDER_NAME.fullmatch(experiment.name):
        words = f"must be usable as a folder name without spaces, got '{experiment.name[:100]}'"
        problems.append(Problem("name", words))
    if not experiment.reward.terms:
        words = "at least one term is needed, for example matches_expect: {weight: 1.0}"
        problems.append(Problem("reward.terms", words))
    problems += _file_problems(experiment)
    problems += _minibatch_problems(ppo)
    if kl.target is not None and kl.stop_at is not None and kl.target >= kl.stop_at:
        problems.append(Problem("kl.target", f"{kl.target:g} must lie below kl.stop_at = {kl.stop_at:g}"))
    if kl.target is not None and kl.coef == 0:
        problems.append(Problem("kl.coef", "0 cannot be steered towards kl.target; start from a positive value"))
    if ppo.warmup_updates >= ppo.updates and ppo.warmup_updates > 0:
        words = f"{ppo.warmup_updates} must be less than ppo.updates = {ppo.updates}"
        problems.append(Problem("ppo.warmup_updates", words))
    if ppo.critic_warmup_updates >= ppo.updates:
        words = f"{ppo.critic_warmup_updates} must be less than ppo.updates = {ppo.updates}"
        problems.append(Problem("ppo.critic_warmup_updates", words))
    problems += _quantised_problems(experiment)
    if evaluation.temperature == 0 and evaluation.samples_per_prompt > 1:
        words = "at temperature 0 all samples are the same; set it to 1"
        problems.append(Problem("evaluation.samples_per_prompt", words))
    return problems + _joint_treatment_problems(experiment.joint_treatment) + _tracking_problems(experiment.tracking)


def _file_problems(experiment: Experiment) -> list[Problem]:
    """Datasets and addresses in the place of files."""
    files = {path: value for path, value in flatten(to_dict(experiment)).items() if isinstance(value, str)}
    files = {path: value for path, value in files.items() if path in schema_keys() and schema_keys()[path].is_file}
    for path, term in named_terms(experiment).items():
        keys = [parameter for parameter, key in keys_in(type(term)).items() if key.is_file]
        files |= {f"{path}.{parameter}": getattr(term, parameter) for parameter in keys}
    problems = []
    for path, value in files.items():
        if value.startswith("hf:") and path.startswith("prompts."):
            way = f"`ppo init blank FOLDER --from-dataset {value}` writes its prompts into files"
            problems.append(Problem(path, f"must be a file, got the dataset {value}; {way}"))
        elif NO_FILE.match(value):
            problems.append(Problem(path, f"must be a file, got {value}; download it, and name the file"))
    return problems


def _quantised_problems(experiment: Experiment) -> list[Problem]:
    """Weights in fewer bits are frozen, so neither the policy nor the critic can train its own."""
    load_in, problems = experiment.model.load_in, []
    if load_in is not None and experiment.model.train.lora is None:
        words = f"{load_in} weights cannot be trained themselves; set model.train.lora"
        problems.append(Problem("model.load_in", words))
    if load_in is not None and experiment.ppo.critic == "layers":
        words = "layers would be trained copies of quantised ones; use head with model.load_in"
        problems.append(Problem("ppo.critic", words))
    return problems


def _minibatch_problems(ppo: Ppo) -> list[Problem]:
    if ppo.episodes_per_update % ppo.answers_per_prompt:
        words = f"{ppo.answers_per_prompt} does not divide ppo.episodes_per_update = {ppo.episodes_per_update}"
        return [Problem("ppo.answers_per_prompt", words)]
    size, rest = divmod(ppo.episodes_per_update, ppo.minibatches)
    if rest:
        words = f"{ppo.minibatches} does not divide ppo.episodes_per_update = {ppo.episodes_per_update}"
        return [Problem("ppo.minibatches", words)]
    if size < MIN_MINIBATCH_EPISODES:
        words = f"leaves {size} episodes per minibatch; at least {MIN_MINIBATCH_EPISODES} are needed"
        return [Problem("ppo.minibatches", words)]
    if ppo.whiten_rewards and size < MIN_WHITENING_EPISODES:
        words = f"needs at least {MIN_WHITENING_EPISODES} episodes per minibatch"
        return [Problem("ppo.whiten_rewards", words)]
    return []


def _joint_treatment_problems(names: Sequence[str]) -> list[Problem]:
    """A joint treatment names two or more keys whose change would count as a treatment."""
    wrong = [f"{name} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    for name in dict.fromkeys(names):
        key = key_of(name)
        if key is None:
            guess = closest_key(name)
            wrong.append(f"no key '{name}'{f'; did you mean {guess}?' if guess else ''}")
        elif name == "seed" or not (key.role == "treatment" or key.path.startswith(TREATABLE_KEYS)):
            wrong.append(f"{name} is no treatment, so it cannot be part of one")
    if len(names) == 1 and not names[0].startswith(GENERATION):
        wrong.append(f"{names[0]} alone counts as one treatment anyway; name two keys or none")
    return [Problem("joint_treatment", words) for words in wrong]


def _tracking_problems(names: Sequence[str]) -> list[Problem]:
    wrong = [f"{name} is named twice" for name in TRACKERS if names.count(name) > 1]
    for name in names:
        if name not in TRACKERS:
            close = difflib.get_close_matches(name.lower(), TRACKERS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(TRACKERS)}"
            wrong.append(f"no tracker '{name}'; {hint}")
    return [Problem("tracking", words) for words in wrong]


def without_effect(experiment: Experiment, given: frozenset[str]) -> list[Problem]:
    """The keys among those given that can change nothing, each with what it needs."""
    is_hub_model = not experiment.model.start.startswith(("builtin:", "/"))
    conditions = [
        ("kl.horizon", experiment.kl.target is not None, "kl.target is set"),
        (
            "kl.estimator",
            experiment.kl.coef > 0 or experiment.kl.target is not None,
            "kl.coef is above 0 or kl.target is set",
        ),
        ("reward.baseline_samples", experiment.reward.baseline == "reference", "reward.baseline is reference"),
        ("ppo.target_kl_skips_step", experiment.ppo.target_kl is not None, "ppo.target_kl is set"),
        (
            "ppo.baseline_fit",
            experiment.reward.baseline != "none" and experiment.ppo.answers_per_prompt == 1,
            "reward.baseline gives a score and ppo.answers_per_prompt is 1",
        ),
        ("evaluation.interim_prompts", experiment.evaluation.every > 0, "evaluation.every is above 0"),
        ("model.revision", is_hub_model, "model.start is a Hugging Face id"),
    ]
    conditions += [
        (path, experiment.model.warm_start is not None, "model.warm_start names a file")
        for path in sorted(given)
        if path.startswith("model.sft.")
    ]
    return [
        Problem(path, f"has no effect unless {need}; remove it")
        for path, has_effect, need in conditions
        if path in given and not has_effect
    ]
