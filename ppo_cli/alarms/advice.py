"""One change to try next: one key, one value, the reason. Never three.

It fits the round: of the keys that the run's round lets move, or the round itself where its question is answered or
cannot be. The one exception is an evaluation set that leaks, which no round may keep.

Not here: the alarms that most of it follows from.
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
from ppo_cli.records.results import ComparisonResult
from ppo_cli.text.numbers import format_number

CLOSE = 1.0
"""Nats an answer below which a policy has hardly used its room. The shipped experiment ends at 2 to 3."""
LAST_ROUND = max(ROUNDS)
YOUR_FILE = "YOUR.jsonl"
"""Stands for a prompt file that the user has to make."""


def suggest_after_training(seen: RunHistory, alarms: Sequence[Alarm], config: str) -> Advice:
    """What to try after a run.

    Args:
        seen: its records.
        alarms: those that ring.
        config: the file that the next run starts from.
    """
    ringing = {alarm.name for alarm in alarms}
    key, value, reason = _against_alarms(seen, ringing) or _by_result(seen)
    return _advice(key, value, reason, config)


def suggest_after_comparison(
    outcome: ComparisonResult, measure: Measure, *, round_: int, configs: tuple[str, str], seeds: Sequence[int]
) -> Advice:
    """What to try after two runs: another seed for what changed, a step further for what did not.

    Args:
        outcome: the two runs, or two arms of several seeds.
        measure: the primary one.
        round_: of the runs.
        configs: the files of both runs.
        seeds: of all runs compared.
    """
    before, after = configs
    change = next(change for change in outcome.comparison.changes if change.name == measure.name)
    changed, title = change.verdict == "CHANGED", measure.title.strip()
    better = measure.better is None or improvement(measure, change) > 0
    if not outcome.treatments:
        if changed or round_ == LAST_ROUND:
            return _another_seed(seeds, f"see how far the seed alone moves the {title}", after)
        question, _ = ROUNDS[round_ + 1]
        return _advice("round", round_ + 1, f"the seeds agree on the {title}; the next question: {question}", after)
    if outcome.joint_variable and len(outcome.variables) == 1:
        moved = outcome.variables[0]
        return _another_seed(seeds, f"another seed shows whether {moved} moves the {title}, or luck does", after)
    typed = [key for key in outcome.treatments if not _is_file(key)]
    key = typed[0] if typed else next(iter(outcome.treatments))
    old, new = outcome.treatments[key]
    if len(outcome.treatments) > 1 and typed:
        return _advice(key, new, f"{len(outcome.treatments)} keys differ; this one alone shows what it does", before)
    if changed and better:
        return _another_seed(seeds, f"another seed shows whether {key} moves the {title}, or luck does", after)
    start, end, config = (new, old, before) if changed else (old, new, after)
    further = _further(key, start, end)
    if further is None:
        return _another_seed(seeds, f"there is no further step of {key}; another seed shows what is luck", after)
    if changed:
        return _advice(key, further, f"{old:g} → {new:g} made the {title} worse; try the other way", config)
    return _advice(key, further, f"no change of the {title} from {old:g} → {new:g}; try a larger step", config)


def _against_alarms(seen: RunHistory, ringing: set[str]) -> tuple[str, object, str] | None:
    experiment, round_ = seen.experiment, seen.experiment.round
    if eval_contamination.NAME in ringing:
        return "prompts.eval", YOUR_FILE, "first an evaluation set that the policy has not learnt from"
    if no_learning.NAME in ringing:
        return _loosen_kl(seen)
    if policy_drift.NAME in ringing:
        return _tighten_kl(seen, "KL left its budget, or the answers fell apart")
    if reward_hacking.NAME in ringing:
        term = _largest_rise(seen)
        if not _may_move(round_, "reward") or term is None:
            return "round", 2, "the reward pays for something else: tuning it is the question of round 2"
        weight = experiment.reward.terms[term].weight / 2
        return f"reward.terms.{term}.weight", weight, f"the reward rose most by its term {term}"
    if narrow_data.NAME in ringing:
        if not _may_move(round_, "prompts.train"):
            return "round", 3, "widening the data is the question of round 3"
        return "prompts.train", YOUR_FILE, "more topics, and each prompt less often"
    if too_many_changes.NAME in ringing:
        return _tighten_kl(seen, "too much moved at once to put it down to anything")
    return None


def _by_result(seen: RunHistory) -> tuple[str, object, str]:
    experiment, round_ = seen.experiment, seen.experiment.round
    change, title = seen.change(seen.primary.name), seen.primary.title.strip()
    better = seen.primary.better is None or (change is not None and improvement(seen.primary, change) > 0)
    if change is not None and change.verdict == "CHANGED":
        if better:
            reason = f"the {title} moved with one seed; a second tells the setting from luck"
            return "seed", _next_seed(experiment.seed), reason
        return _tighten_kl(seen, f"the {title} moved the wrong way")
    kl = max(0.0, float(seen.metrics[-1]["kl"])) if seen.metrics else 0.0
    if round_ == 1 and kl < CLOSE and experiment.kl.coef > 0:
        return (
            "kl.coef",
            experiment.kl.coef / 2,
            f"no change detected, and only {format_number(kl)} nats an answer were used",
        )
    if round_ == 1:
        return "ppo.updates", 2 * experiment.ppo.updates, "no change detected yet, and no alarm rings"
    if round_ == 2 and experiment.reward.terms:
        term = max(sorted(experiment.reward.terms), key=lambda name: abs(experiment.reward.terms[name].weight))
        weight = 2 * experiment.reward.terms[term].weight
        return f"reward.terms.{term}.weight", weight, "no change detected: make the main term count more"
    return "seed", _next_seed(experiment.seed), "no change detected: a second seed shows whether that was luck"


def _loosen_kl(seen: RunHistory) -> tuple[str, object, str]:
    experiment = seen.experiment
    if (seen.of_updates("reward_std") < no_learning.MIN_REWARD_STD).mean() >= no_learning.MIN_SIGNAL_SHARE:
        return "round", 2, "equal rewards teach nothing: tuning the reward is the question of round 2"
    if not _may_move(experiment.round, "ppo"):
        return "round", 1, "nothing moved: first see whether it is controllable"
    if experiment.kl.coef >= no_learning.MAX_KL_COST_SHARE:
        return "kl.coef", experiment.kl.coef / 4, "the price of moving keeps the policy where it was"
    return "ppo.learning_rate", min(1.0, 3 * experiment.ppo.learning_rate), "the steps were too small to move anything"


def _tighten_kl(seen: RunHistory, reason: str) -> tuple[str, object, str]:
    kl = seen.experiment.kl
    if not _may_move(seen.experiment.round, "kl"):
        return "round", 1, f"{reason}: holding the policy is a question of round 1"
    if kl.target is not None:
        return "kl.target", kl.target / 2, reason
    return "kl.coef", min(100.0, 2 * kl.coef or 0.05), reason


def _largest_rise(seen: RunHistory) -> str | None:
    """The term whose weighted mean rose most from the first to the last third of the updates."""
    third = max(1, seen.updates // 3)
    terms = seen.experiment.reward.terms
    risen = {
        name: term.weight * sum(row["terms"][name] for row in seen.metrics[-third:])
        - term.weight * sum(row["terms"][name] for row in seen.metrics[:third])
        for name, term in sorted(terms.items())
    }
    return max(risen, key=lambda name: risen[name]) if risen and max(risen.values()) > 0 else None


def _further(key: str, start: object, end: object) -> float | int | None:
    """As far again from start over end, by the ratio of both; None where there is no such value in range."""
    known = key_of(key)
    if known is None or not (_is_number(start) and _is_number(end)):
        return None
    first, second = float(start), float(end)  # type: ignore[arg-type]
    if first <= 0 or second <= 0:
        return None
    value: float | int = float(f"{second * second / first:.3g}")
    if isinstance(start, int) and isinstance(end, int):
        value = round(value)
    return value if known.allows(value) and value != end else None


def _is_file(key: str) -> bool:
    """Whether a comparison shows a digest and no value that could be typed."""
    known = key_of(key)
    return known is None or known.is_file


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _another_seed(seeds: Sequence[int], reason: str, config: str) -> Advice:
    return _advice("seed", _next_seed(max(seeds)), reason, config)


def _next_seed(seed: int) -> int:
    return seed + 1 if seed < LARGEST_SEED else 0


def _may_move(round_: int, key: str) -> bool:
    return key in ROUNDS[round_][1]


def _advice(key: str, value: object, reason: str, config: str) -> Advice:
    typed = f"{value:g}" if isinstance(value, float) else str(value)
    return Advice(key=key, value=typed, reason=reason, command=f"ppo train {config} {key}={typed}")
