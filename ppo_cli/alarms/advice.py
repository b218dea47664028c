"""The one change to try next: one key, one value, the reason, and the command.

It keeps to the keys that the run's round may change, or suggests another round where the question of this one is
answered or cannot be answered. The one exception is a contaminated evaluation set, which no round may keep.

Not here: the alarms that most advice follows from (one module each), reading the records (`evaluation.run_alarms`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ppo_cli.alarms import (
    eval_contamination,
    narrow_data,
    no_learning,
    policy_drift,
    reward_hacking,
    too_many_changes,
)
from ppo_cli.alarms.run_history import RunHistory, improvement
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.schema_base import LARGEST_SEED
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.measures import Measure
from ppo_cli.records.program import command
from ppo_cli.records.results import ComparisonResult
from ppo_cli.text.numbers import format_number

SMALL_KL_NATS = 1.0
"""Nats per answer below which a policy could move further. The shipped experiment ends at 2 to 3."""
LAST_ROUND = max(ROUNDS)
YOUR_FILE = "YOUR.jsonl"
"""Placeholder for a prompt file that the user has to write."""


def suggest_after_training(history: RunHistory, alarms: Sequence[Alarm], config: str) -> Advice:
    """What to try after a run.

    Args:
        history: the records of the run.
        alarms: the alarms that they raise.
        config: the config file that the next run starts from.
    """
    raised = {alarm.name for alarm in alarms}
    key, value, reason = _against_alarms(history, raised) or _by_result(history)
    return _advice(key, value, reason, config)


def suggest_after_comparison(
    outcome: ComparisonResult, measure: Measure, *, round_: int, configs: tuple[str, str], seeds: Sequence[int]
) -> Advice:
    """What to try after a comparison: another seed after a change, a further step after none.

    Args:
        outcome: the comparison of two runs, or of two settings with several seeds each.
        measure: the primary measure.
        round_: the round of the runs.
        configs: the config files of both runs.
        seeds: the seeds of all runs compared.
    """
    before, after = configs
    change = next(change for change in outcome.comparison.changes if change.name == measure.name)
    changed, title = change.verdict == "CHANGED", measure.title.strip()
    better = measure.better is None or improvement(measure, change) > 0
    if not outcome.treatments:
        agree = change.verdict == "EQUIVALENT" and len(set(seeds)) > 1
        if not agree or round_ == LAST_ROUND:
            return _another_seed(seeds, f"another seed shows how much the seed alone changes {title}", after)
        question, _ = ROUNDS[round_ + 1]
        return _advice("round", round_ + 1, f"the seeds agree on {title}; the next question: {question}", after)
    if tuple(outcome.treatments) == ("reward.placebo",):
        return _another_seed(seeds, f"another seed of both shows whether the reward or chance changes {title}", after)
    if outcome.joint_variable and len(outcome.variables) == 1:
        return _another_seed(seeds, _seed_or(outcome.variables[0], title), after)
    settings = [key for key in outcome.treatments if not _is_file(key)]
    key = settings[0] if settings else next(iter(outcome.treatments))
    old, new = outcome.treatments[key]
    if len(outcome.treatments) > 1 and settings:
        return _advice(
            key, new, f"{len(outcome.treatments)} keys differ; change this one alone to see its effect", before
        )
    if changed and better:
        return _another_seed(seeds, _seed_or(key, title), after)
    start, end, config = (new, old, before) if changed else (old, new, after)
    further = _further(key, start, end)
    if further is None:
        return _another_seed(seeds, f"{key} has no further step; another seed shows what chance does", after)
    if changed:
        return _advice(key, further, f"{old:g} → {new:g} made {title} worse; try the other direction", config)
    return _advice(key, further, f"no change of {title} from {old:g} → {new:g}; try a larger step", config)


def _against_alarms(history: RunHistory, raised: set[str]) -> tuple[str, object, str] | None:
    experiment, round_ = history.experiment, history.experiment.round
    if eval_contamination.NAME in raised:
        return (
            "prompts.eval",
            YOUR_FILE,
            "the evaluation set overlaps the training prompts; use one that the policy was not trained on",
        )
    if no_learning.NAME in raised:
        return _loosen_kl(history)
    if policy_drift.NAME in raised:
        return _tighten_kl(history, "KL is over its limit, or answers degraded")
    if reward_hacking.NAME in raised:
        term = _largest_rise(history)
        if not _may_change(round_, "reward") or term is None:
            return "round", 2, "the reward scores something else; tuning it is the question of round 2"
        weight = experiment.reward.terms[term].weight / 2
        reason = f"the reward rose most through its term {term}; `ppo rehearse` shows first what a reward teaches"
        return f"reward.terms.{term}.weight", weight, reason
    if narrow_data.NAME in raised:
        if not _may_change(round_, "prompts.train"):
            return "round", 3, "widening the data is the question of round 3"
        return "prompts.train", YOUR_FILE, "training needs more topics, and each prompt less often"
    if too_many_changes.NAME in raised:
        return _tighten_kl(history, "too much changed at once to attribute it to one cause")
    return None


def _by_result(history: RunHistory) -> tuple[str, object, str]:
    experiment, round_ = history.experiment, history.experiment.round
    change, title = history.change(history.primary.name), history.primary.title.strip()
    better = history.primary.better is None or (change is not None and improvement(history.primary, change) > 0)
    if change is not None and change.verdict == "CHANGED":
        if better:
            reason = f"{title} changed with one seed; run a second seed to rule out chance"
            return "seed", _next_seed(experiment.seed), reason
        return _tighten_kl(history, f"{title} got worse")
    kl = max(0.0, float(history.metrics[-1]["kl"])) if history.metrics else 0.0
    if round_ == 1 and kl < SMALL_KL_NATS and experiment.kl.coef > 0:
        return (
            "kl.coef",
            experiment.kl.coef / 2,
            f"no change detected, and KL is only {format_number(kl)} nats per answer",
        )
    if round_ == 1:
        return "ppo.updates", 2 * experiment.ppo.updates, "no change detected yet, and no alarm was raised"
    if round_ == 2 and experiment.reward.terms:
        term = max(sorted(experiment.reward.terms), key=lambda name: abs(experiment.reward.terms[name].weight))
        weight = 2 * experiment.reward.terms[term].weight
        return f"reward.terms.{term}.weight", weight, "no change detected; give the main term more weight"
    return "seed", _next_seed(experiment.seed), "no change detected; run a second seed to rule out chance"


def _loosen_kl(history: RunHistory) -> tuple[str, object, str]:
    experiment = history.experiment
    if (history.metric("reward_std") < no_learning.MIN_REWARD_STD).mean() >= no_learning.MIN_SIGNAL_SHARE:
        return "round", 2, "equal rewards teach nothing; tuning the reward is the question of round 2"
    if not _may_change(experiment.round, "ppo"):
        return "round", 1, "nothing changed; first see whether the behaviour is controllable"
    if experiment.kl.coef >= no_learning.MIN_STRONG_KL_COEF:
        return "kl.coef", experiment.kl.coef / 4, "the KL penalty is too strong"
    return (
        "ppo.learning_rate",
        min(1.0, 3 * experiment.ppo.learning_rate),
        "the steps were too small to change anything",
    )


def _tighten_kl(history: RunHistory, reason: str) -> tuple[str, object, str]:
    kl = history.experiment.kl
    if not _may_change(history.experiment.round, "kl"):
        return "round", 1, f"{reason}; the strength of the KL penalty is a question of round 1"
    if kl.target is not None:
        return "kl.target", kl.target / 2, reason
    return "kl.coef", min(100.0, 2 * kl.coef or 0.05), reason


def _largest_rise(history: RunHistory) -> str | None:
    """The term whose weighted mean rose most from the first to the last third of the updates."""
    third = max(1, history.updates // 3)
    terms = history.experiment.reward.terms
    rises = {
        name: term.weight * sum(row["terms"][name] for row in history.metrics[-third:])
        - term.weight * sum(row["terms"][name] for row in history.metrics[:third])
        for name, term in sorted(terms.items())
    }
    return max(rises, key=lambda name: rises[name]) if rises and max(rises.values()) > 0 else None


def _further(key: str, start: object, end: object) -> float | int | None:
    """One more step by the ratio of `end` to `start`; None where that value is out of range."""
    schema_key = key_of(key)
    if schema_key is None or not (_is_number(start) and _is_number(end)):
        return None
    first, second = float(start), float(end)  # type: ignore[arg-type]
    if first <= 0 or second <= 0:
        return None
    value: float | int = float(f"{second * second / first:.3g}")
    if isinstance(start, int) and isinstance(end, int):
        value = round(value)
    return value if schema_key.allows(value) and value != end else None


def _is_file(key: str) -> bool:
    """Whether a comparison shows the key's file as a digest, which nobody can type."""
    schema_key = key_of(key)
    return schema_key is None or schema_key.is_file


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seed_or(variable: str, title: str) -> str:
    return f"another seed shows whether {variable} or chance changes {title}"


def _another_seed(seeds: Sequence[int], reason: str, config: str) -> Advice:
    return _advice("seed", _next_seed(max(seeds)), reason, config)


def _next_seed(seed: int) -> int:
    return seed + 1 if seed < LARGEST_SEED else 0


def _may_change(round_: int, key: str) -> bool:
    return key in ROUNDS[round_][1]


def _advice(key: str, value: object, reason: str, config: str) -> Advice:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return Advice(key=key, value=text, reason=reason, command=command("train", config, f"{key}={text}"))
