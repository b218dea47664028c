"""Whether two frozen experiments may be compared, and what differs between them.

A pure function of two freeze locks: which differences forbid a comparison, which are the treatment, and which are
circumstances that may have influenced the result.

Not here: the comparison of behaviour (`comparison`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.freeze import MEASURE_CONTENT, MEASURES, REWARD_CONTENT, Lock
from ppo_cli.records.comparisons import variables

MUST_AGREE = {
    "eval_set": "the evaluation sets differ",
    "rendered": "the prompts differ as the models see them (template, tokenizer or system prompt)",
    "generation": "the evaluations sample differently",
}
"""Lock groups that must be equal, and the reason that is given when they differ."""

CONTENT = {"train_set": "prompts.train", "start_model": "model.start", "warm_start": "model.warm_start"}
"""Content groups whose difference is a treatment, with the config key that names the content."""

SEEN_BY = ("tokenizer", "chat_template", "system_prompt")
"""Values of the start model that decide how the chat template is applied to a prompt."""

RESCORED = ("behaviours",)
"""Groups whose difference does not matter, because both runs are scored anew by the current rules."""

FIRST = ("start_model", "warm_start", "reward")
"""Groups that are named before other treatments: the start model, which is the reference too, and the reward."""

NOTED = ("goal", "analysis", MEASURES, MEASURE_CONTENT)
"""Groups that change no number of a run: the earlier run's values apply, and a difference is shown."""

DECLARED = "joint_treatment"
"""The key that names treatments which are changed together on purpose."""


@dataclass(frozen=True, kw_only=True)
class Comparability:
    """Whether two runs may be compared, and what differs between them."""

    refused: tuple[str, ...]
    """Reasons why no comparison is possible."""
    same_groups: tuple[str, ...]
    """Groups of MUST_AGREE that are the same in both."""
    treatments: Mapping[str, tuple[Any, Any]]
    """Key to (value in A, value in B) of everything that was varied, the seed apart."""
    seeds: tuple[Any, Any]
    confounders: Mapping[str, tuple[str, str]]
    """Circumstances that differ: package versions, machine, dtype, the wording of the goal; name to (A, B)."""
    same_run: bool
    waived: tuple[str, ...] = ()
    """Reasons against the comparison that the user allowed."""
    joint_variable: tuple[str, ...] = ()
    """The treatments that a run declared, before it was trained, to count as one variable."""

    @property
    def variables(self) -> tuple[str, ...]:
        """What was varied; treatments that were declared together count as one."""
        return variables(self.treatments, self.joint_variable)

    @property
    def is_confounded(self) -> bool:
        """Whether more than one variable was changed."""
        return len(self.variables) > 1


def comparability(
    a: Lock,
    b: Lock,
    circumstances_a: Mapping[str, str],
    circumstances_b: Mapping[str, str],
    *,
    same_run: bool,
    allowed: Collection[str] = (),
) -> Comparability:
    """Compares two locks.

    Args:
        a: the lock of run A.
        b: the lock of run B.
        circumstances_a: package versions, machine and dtype of run A.
        circumstances_b: the same of run B.
        same_run: whether both are one run.
        allowed: groups of MUST_AGREE that may differ.
    """
    refused: list[str] = []
    same_groups: list[str] = []
    waived: list[str] = []
    treatments: dict[str, tuple[Any, Any]] = {}
    for group, reason in MUST_AGREE.items():
        same = _same_prompts_seen(a, b, allowed) if group == "rendered" else _digest(a, group) == _digest(b, group)
        if same:
            same_groups.append(group)
        elif group == "generation" and (sampling := _declared_by_both(a, b)):
            treatments |= sampling
        else:
            (waived if group in allowed else refused).append(f"{reason}{_which(a, b, group)}")
    noted: dict[str, tuple[str, str]] = {}
    seeds = (group_values(a, "seed").get("seed"), group_values(b, "seed").get("seed"))
    rest = sorted({*a.groups, *b.groups} - set(MUST_AGREE) - set(RESCORED) - set(FIRST))
    for group in (*FIRST, *rest):
        if _digest(a, group) == _digest(b, group) or group == "seed":
            continue
        if group in NOTED:
            differing = differences(group_values(a, group), group_values(b, group))
            noted |= {key: (str(x), str(y)) for key, (x, y) in differing.items() if key != DECLARED}
        elif group in CONTENT:
            treatments[CONTENT[group]] = (_digest(a, group)[:8], _digest(b, group)[:8])
        else:
            treatments |= group_differences(a, b, group)
    confounders = {
        name: (circumstances_a[name], circumstances_b.get(name, ""))
        for name in circumstances_a
        if circumstances_a[name] != circumstances_b.get(name, "")
    }
    return Comparability(
        refused=tuple(refused),
        same_groups=tuple(same_groups),
        treatments=treatments,
        seeds=seeds,
        confounders={**noted, **confounders},
        same_run=same_run,
        waived=tuple(waived),
        joint_variable=joint_variable(treatments, a, b),
    )


def joint_variable(treatments: Collection[str], *locks: Lock) -> tuple[str, ...]:
    """The treatments that one of the runs declared to count as one variable; none where they are fewer than two."""
    declared = [tuple(key for key in treatments if key in _declares(lock)) for lock in locks]
    most = max(declared, key=len)
    return most if len(most) > 1 else ()


def setting_digest(lock: Lock) -> str:
    """A digest of a run's setting, its seed and what changes no number left out: runs that share it are one arm."""
    left_out = {"seed", "rendered", *NOTED, *RESCORED}
    digests = {name: _digest(lock, name) for name in lock.groups if name not in left_out}
    return sha256_of({**digests, "rendered": _rendered_eval(lock)})


def _declares(lock: Lock) -> Collection[str]:
    names: Collection[str] = group_values(lock, "goal").get(DECLARED) or ()
    return names


def _declared_by_both(a: Lock, b: Lock) -> dict[str, tuple[Any, Any]]:
    """The differing sampling settings of the evaluations, where both runs declared that they vary; else nothing."""
    differing = differences(group_values(a, "generation"), group_values(b, "generation"))
    return differing if set(differing) <= set(_declares(a)) & set(_declares(b)) else {}


def _which(a: Lock, b: Lock, group: str) -> str:
    """The keys that differ, where the group is made of config values."""
    if group != "generation":
        return ""
    differing = differences(group_values(a, group), group_values(b, group))
    parts = [f"{key} {old} and {new}" for key, (old, new) in differing.items()]
    return f" ({', '.join(parts)})"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{key: (old, new)} of the values that are not the same."""
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def group_differences(a: Lock, b: Lock, group: str) -> dict[str, tuple[Any, Any]]:
    """{key: (value in a, value in b)} of a group's values that differ.

    Files and models that reward terms name differ by their content, whatever they are called.
    """
    differing = differences(_by_content(a, group), _by_content(b, group))
    return {key: (group_values(a, group).get(key), group_values(b, group).get(key)) for key in differing}


def _by_content(lock: Lock, group: str) -> dict[str, Any]:
    """The values of a group, each file or model replaced by the digest of its content; of a function its name stays."""
    content = group_values(lock, REWARD_CONTENT)
    return {
        key: (content[key], str(value).rpartition(":")[2] if key.endswith(".function") else "")
        if key in content and group != REWARD_CONTENT
        else value
        for key, value in group_values(lock, group).items()
    }


def same_measure(a: Lock, b: Lock, path: str) -> bool:
    """Whether two runs give an own measure of a config in the same way, by its key path, files and models included."""
    of_a, of_b = (
        {
            (group, key): value
            for group in (MEASURES, MEASURE_CONTENT)
            for key, value in group_values(lock, group).items()
            if key.startswith(f"{path}.")
        }
        for lock in (a, b)
    )
    return of_a == of_b


def _same_prompts_seen(a: Lock, b: Lock, allowed: Collection[str]) -> bool:
    """Whether the models read the same tokens; of sets that may differ, whether they read a common prompt alike."""
    if _rendered_eval(a) == _rendered_eval(b):
        return True
    differ = _digest(a, "eval_set") != _digest(b, "eval_set")
    models = (group_values(lock, "start_model") for lock in (a, b))
    seen_by = [{key: value for key, value in model.items() if key in SEEN_BY} for model in models]
    return differ and "eval_set" in allowed and bool(seen_by[0]) and seen_by[0] == seen_by[1]


def _rendered_eval(lock: Lock) -> Any:  # noqa: ANN401
    return group_values(lock, "rendered").get("eval")


def group_values(lock: Lock, group: str) -> Mapping[str, Any]:
    """The values of a group of a lock; empty where the lock has no such group."""
    return lock.groups[group].values if group in lock.groups else {}


def _digest(lock: Lock, group: str) -> str:
    if group not in lock.groups:
        return ""
    return sha256_of(_by_content(lock, group)) if group == "reward" else lock.groups[group].digest
