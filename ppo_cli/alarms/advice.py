"""The one step to try next: a key with its value, or more seeds, more prompts, or something to read; with the reason.

A key is one that the run's round may change, or one of another round, which the command then names; its value is one
that people type (`TYPED`). Where no such value is left, the step is to read the answers. Evaluation prompts are the
exception: no round keeps a contaminated set, or one too small to show the smallest change that matters.

Not here: the alarms that most advice follows from (one module each), reading the records (`evaluation.run_alarms`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ppo_cli.alarms import (
    eval_contamination,
    judges_disagree,
    narrow_data,
    no_learning,
    policy_drift,
    reward_hacking,
    too_many_changes,
    unstable_updates,
)
from ppo_cli.alarms.run_history import RunHistory, format_measure, improvement
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.schema import ROUNDS
from ppo_cli.experiment.schema_index import key_of, wildcard_path
from ppo_cli.records.checks import Advice, Alarm
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.measures import Measure
from ppo_cli.records.program import command
from ppo_cli.records.results import ComparisonResult
from ppo_cli.stats.power import required_prompts
from ppo_cli.stats.seed_variance import MIN_SEEDS
from ppo_cli.text.numbers import format_number

SMALL_KL_NATS = 1.0
"""Nats per answer below which a policy could move further. The shipped experiment ends at 2 to 3."""
UPDATE_KL_NATS = 0.1
"""The `ppo.target_kl` that is suggested, nats per token: that of the shipped experiment."""
EVALUATION_SET = "prompts.eval"
YOUR_FILE = "YOUR.jsonl"
"""Placeholder for a prompt file that the user has to write."""
MORE_SEEDS, MORE_PROMPTS, READ_ANSWERS, READ_REWARD, LABEL = "--seeds", "eval", "report", "rehearse", "label"
"""Steps that change no key: more seeds, more evaluation prompts, read the answers, read what the reward prefers, label
answers."""
TYPED: Mapping[str, tuple[float, float]] = {
    "kl.coef": (0.005, 0.5),
    "kl.target": (0.5, 20.0),
    "ppo.updates": (5, 200),
    "ppo.episodes_per_update": (16, 512),
    "ppo.epochs": (1, 4),
    "ppo.learning_rate": (1e-6, 1e-3),
    "ppo.critic_learning_rate": (1e-5, 1e-2),
    "ppo.cliprange": (0.05, 0.4),
    "reward.terms.*.weight": (0.05, 10.0),
}
"""Least and largest value that is suggested of a key: the range that people use with models and rewards of these sizes.
Other keys get no further step. Own choice; `kl.coef` is 0.05 to 0.2 in the shipped experiments."""


def suggest_after_training(history: RunHistory, alarms: Sequence[Alarm], config: str) -> Advice:
    """What to try after a run.

    Args:
        history: the records of the run.
        alarms: the alarms that they raise.
        config: the config file that the next run starts from.
    """
    raised = {alarm.name for alarm in alarms}
    key, value, reason = _against_alarms(history, raised) or _by_result(history)
    return _advice(key, value, reason, config, history.experiment.round)


def suggest_after_comparison(
    outcome: ComparisonResult, measure: Measure, *, round_: int, configs: tuple[str, str], seeds: Sequence[int]
) -> Advice:
    """What to try after a comparison: more seeds after a change; more prompts or a further step after none.

    Args:
        outcome: the comparison of two runs, or of two settings with several seeds each.
        measure: the primary measure.
        round_: the round of the runs.
        configs: the config files of both runs.
        seeds: the seeds of all runs compared.
    """
    before, after = configs
    comparison = outcome.comparison
    change = next(change for change in comparison.changes if change.name == measure.name)
    title, arms = measure.title.strip(), outcome.seed_comparison
    per_setting = min(len(arms.before), len(arms.after)) if arms else 1
    if not outcome.treatments:
        question = f"how much the seed alone changes {title}"
        return _advice(*_seeds_or_read(len(set(seeds)), question), after, round_)
    if tuple(outcome.treatments) == ("reward.placebo",):
        return _advice(*_seeds_or_read(per_setting, f"whether the reward or chance changes {title}"), after, round_)
    if worse := _worse_guard(comparison):
        return _advice(
            READ_ANSWERS, "", f"{worse} got worse: read the changed answers before anything else", after, round_
        )
    if outcome.joint_variable and len(outcome.variables) == 1:
        return _advice(*_seeds_or_read(per_setting, _cause(outcome.variables[0], title)), after, round_)
    settings = [key for key in outcome.treatments if not _is_file(key)]
    key = settings[0] if settings else next(iter(outcome.treatments))
    old, new = outcome.treatments[key]
    if len(outcome.treatments) > 1 and settings:
        return _advice(
            key, new, f"{len(outcome.treatments)} keys differ; change this one alone to see its effect", before, round_
        )
    in_round = _may_change(round_, key)
    if change.verdict != "CHANGED":
        further = _further(key, old, new) if in_round else None
        return _advice(*_after_no_change(measure, change, comparison, (key, old, new), further), after, round_)
    back = _further(key, new, old) if in_round else None
    if back is None or measure.better is None or improvement(measure, change) > 0:
        return _advice(*_seeds_or_read(per_setting, _cause(key, title)), after, round_)
    return _advice(key, back, f"{old:g} → {new:g} made {title} worse; try the other direction", before, round_)


def command_line(key: str, value: str, config: str | Path, round_: int) -> str:
    """The command of a step, ready to paste.

    Args:
        key: a config key, or one of the steps that change none.
        value: as it would be typed; empty where the step has none.
        config: the config in a run folder.
        round_: of that run; where another round may change the key, the command names that round too.
    """
    match key:
        case "--seeds":
            return command("train", config, key, value)
        case "eval":
            return command("eval", "--checkpoint", Path(config).parent / "last", "--prompts", value)
        case "report":
            return command("report", Path(config).parent)
        case "rehearse":
            return command("rehearse", config)
        case "label":
            return command("label", Path(config).parent)
        case _:
            other = [] if key == EVALUATION_SET or _may_change(round_, key) else _rounds_of(key)[:1]
            return command("train", config, *(f"round={number}" for number in other), f"{key}={value}")


def _after_no_change(
    measure: Measure,
    change: MeasureChange,
    comparison: Comparison,
    changed_key: tuple[str, object, object],
    further: float | int | None,
) -> tuple[str, object, str]:
    """More prompts where these are too few, else a larger step, else to read the answers.

    Args:
        measure: the primary measure.
        change: of it.
        comparison: of both settings.
        changed_key: the key that differs, with both values.
        further: its next value; None where there is none.
    """
    key, old, new = changed_key
    title = measure.title.strip()
    if reason := _too_few_prompts(measure, change, _margin(measure, comparison)):
        return EVALUATION_SET, YOUR_FILE, f"{reason}, for both settings"
    if further is None:
        return READ_ANSWERS, "", f"{title} does not follow {key}: read what the answers do instead"
    return key, further, f"no change of {title} from {old:g} → {new:g}; try a larger step"


def _against_alarms(history: RunHistory, raised: set[str]) -> tuple[str, object, str] | None:
    experiment, round_ = history.experiment, history.experiment.round
    if eval_contamination.NAME in raised:
        return (
            EVALUATION_SET,
            YOUR_FILE,
            "the evaluation set overlaps the training prompts; use one that the policy was not trained on",
        )
    if no_learning.NAME in raised:
        return _loosen_kl(history)
    if unstable_updates.NAME in raised:
        return _steady_updates(history)
    if policy_drift.NAME in raised:
        return _tighten_kl(history, "KL is over its limit, or answers degraded")
    if reward_hacking.NAME in raised:
        term = _largest_rise(history)
        if not _may_change(round_, "reward") or term is None:
            reason = "the reward rose for something else: read what the answers do, then change the reward in round 2"
            return READ_ANSWERS, "", reason
        weight = experiment.reward.terms[term].weight / 2
        reason = f"the reward rose most through its term {term}; `ppo rehearse` shows first what a reward teaches"
        return f"reward.terms.{term}.weight", weight, reason
    if judges_disagree.NAME in raised:
        return LABEL, "", "the two judges of refusals moved apart: label the answers on which they differ"
    if narrow_data.NAME in raised:
        return "prompts.train", YOUR_FILE, "training needs more topics, and each prompt less often"
    if too_many_changes.NAME in raised:
        return _tighten_kl(history, "too much changed at once to attribute it to one cause")
    return None


def _by_result(history: RunHistory) -> tuple[str, object, str]:
    experiment, measure = history.experiment, history.primary
    change, title = history.change(measure.name), measure.title.strip()
    changed = change is not None and change.verdict == "CHANGED"
    if worse := _worse_guard(history.comparison):
        return READ_ANSWERS, "", f"{worse} got worse: read the changed answers before anything else"
    if change is not None and changed:
        if measure.better is None or improvement(measure, change) > 0:
            return MORE_SEEDS, MIN_SEEDS, f"{title} differs with one seed, which may be chance: more seeds"
        return _tighten_kl(history, f"{title} got worse")
    kl = max(0.0, float(history.metrics[-1]["kl"])) if history.metrics else 0.0
    moved = f"KL is {format_number(kl)} nats per answer"
    if experiment.round == 1 and kl < SMALL_KL_NATS:
        if _is_typed("kl.coef", experiment.kl.coef / 2):
            return "kl.coef", experiment.kl.coef / 2, f"no change detected, and {moved} only"
        if _is_typed("ppo.updates", 2 * experiment.ppo.updates):
            return "ppo.updates", 2 * experiment.ppo.updates, f"no change detected yet, and {moved} only"
    if change is None:
        return READ_ANSWERS, "", f"there is no data of {title}: read the answers"
    if reason := _too_few_prompts(measure, change, _margin(measure, history.comparison)):
        return MORE_PROMPTS, YOUR_FILE, reason
    if experiment.round == 2:
        return READ_REWARD, "", f"{moved}, and {title} stayed: read which answers the reward prefers"
    return READ_ANSWERS, "", f"{moved}, and {title} stayed: read what the answers do instead"


def _loosen_kl(history: RunHistory) -> tuple[str, object, str]:
    experiment = history.experiment
    if (history.metric("reward_std") < no_learning.MIN_REWARD_STD).mean() >= no_learning.MIN_SIGNAL_SHARE:
        return READ_REWARD, "", "equal rewards teach nothing: read which answers the reward tells apart"
    if experiment.kl.coef >= no_learning.MIN_STRONG_KL_COEF:
        return "kl.coef", experiment.kl.coef / 4, "the KL penalty is too strong"
    faster = 3 * experiment.ppo.learning_rate
    if not _is_typed("ppo.learning_rate", faster):
        return READ_REWARD, "", "the steps are large and nothing changed: read which answers the reward tells apart"
    return "ppo.learning_rate", faster, "the steps were too small to change anything"


def _steady_updates(history: RunHistory) -> tuple[str, object, str]:
    ppo = history.experiment.ppo
    if not unstable_updates.large_steps(history):
        if ppo.gae_lambda < 1:
            return "ppo.gae_lambda", 1.0, "the critic adds noise: take advantages from rewards alone"
        return "ppo.critic_learning_rate", ppo.critic_learning_rate / 3, "the critic's values are worse than a constant"
    if ppo.target_kl is None:
        return "ppo.target_kl", UPDATE_KL_NATS, "single updates change the policy too much: end them earlier"
    return "ppo.learning_rate", ppo.learning_rate / 3, "single updates change the policy too much: smaller steps"


def _tighten_kl(history: RunHistory, reason: str) -> tuple[str, object, str]:
    kl, updates = history.experiment.kl, history.experiment.ppo.updates
    if kl.target is not None and _is_typed("kl.target", kl.target / 2):
        return "kl.target", kl.target / 2, reason
    tighter = 2 * kl.coef or 0.05
    if kl.target is None and _is_typed("kl.coef", tighter):
        return "kl.coef", tighter, reason
    if _is_typed("ppo.updates", updates // 2):
        return "ppo.updates", updates // 2, f"{reason}, and the KL penalty is as strong as it is useful"
    return READ_ANSWERS, "", f"{reason}: read how the answers changed"


def _worse_guard(comparison: Comparison) -> str | None:
    """The title of a headline besides the primary that got worse for certain, by more than what matters."""
    for change in comparison.changes:
        measure = measure_named(change.name)
        if measure.eval_only or measure.better is None or change.name == comparison.primary:
            continue
        if change.verdict == "CHANGED" and improvement(measure, change) < -measure.equivalence_margin:
            return measure.title.strip()
    return None


def _too_few_prompts(measure: Measure, change: MeasureChange, margin: float) -> str | None:
    """Why more prompts are needed; None where the evaluation shows a change of this size, or that there is none."""
    if change.verdict not in ("NO CHANGE DETECTED", "INCONCLUSIVE"):
        return None
    smallest = change.minimum_detectable
    if smallest is not None and measure.statistic == "geometric_mean":
        smallest = math.log(smallest)
    if smallest is None or not math.isfinite(smallest) or smallest <= 0:
        return "too little data to conclude anything: more prompts" if change.verdict == "INCONCLUSIVE" else None
    if smallest <= margin:
        return None
    needed = f"{float(f'{required_prompts(change.prompts, smallest, margin):.2g}'):.0f}"
    return (
        f"{change.prompts} prompts show a change of {format_measure(measure, smallest)}, and "
        f"{format_measure(measure, margin)} matters: more prompts, about {needed}"
    )


def _margin(measure: Measure, comparison: Comparison) -> float:
    """The smallest change of the primary measure that matters, on its own scale."""
    effect = comparison.smallest_effect
    if effect is None:
        return measure.equivalence_margin
    return effect / 100 if measure.unit == "%" else effect


def _seeds_or_read(count: int, question: str) -> tuple[str, object, str]:
    """More seeds of each setting; with enough of them, to read the answers.

    Args:
        count: seeds per setting so far.
        question: what the seeds answer.
    """
    if count >= MIN_SEEDS:
        return READ_ANSWERS, "", f"{count} seeds show {question}: read the answers"
    return MORE_SEEDS, MIN_SEEDS, f"{MIN_SEEDS} seeds of each setting show {question}: more seeds"


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
    """One more step by the ratio of `end` to `start`; None where nobody would type that value."""
    if not (_is_number(start) and _is_number(end)):
        return None
    first, second = float(start), float(end)  # type: ignore[arg-type]
    if first <= 0 or second <= 0:
        return None
    value: float | int = float(f"{second * second / first:.3g}")
    if isinstance(start, int) and isinstance(end, int):
        value = round(value)
    return value if _is_typed(key, value) and value != end else None


def _is_typed(key: str, value: float) -> bool:
    """Whether a value is one that people use."""
    least, largest = TYPED.get(wildcard_path(key), (math.inf, -math.inf))
    schema_key = key_of(key)
    return least <= value <= largest and schema_key is not None and schema_key.allows(value)


def _is_file(key: str) -> bool:
    """Whether a comparison shows the key's file as a digest, which nobody can type."""
    schema_key = key_of(key)
    return schema_key is None or schema_key.is_file


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cause(variable: str, title: str) -> str:
    return f"whether {variable} or chance changes {title}"


def _may_change(round_: int, key: str) -> bool:
    """Whether a round may change a key: by itself or with its group."""
    return any(key == group or key.startswith(f"{group}.") for group in ROUNDS[round_].may_change)


def _rounds_of(key: str) -> list[int]:
    """The rounds that may change a key."""
    return [round_ for round_ in ROUNDS if _may_change(round_, key)]


def _advice(key: str, value: object, reason: str, config: str, round_: int) -> Advice:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return Advice(key=key, value=text, reason=reason, command=command_line(key, text, config, round_))
