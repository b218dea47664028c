"""`ppo compare`: may two runs be compared, what differs between them, and what changed in behaviour.

Never imports torch. Not here: the statistics, the screens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import HEADLINES, MEASURES, measure_named
from ppo_cli.errors import IntegrityError, NotComparableError, UsageError
from ppo_cli.evaluation.evaluate import EvaluationData, read_evaluation
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.run_alarms import load_or_compute, next_step
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.values import format_value
from ppo_cli.prompts.jsonl import read_prompts
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import FailConditionResult, SeedNoise, Seeds
from ppo_cli.records.measures import Estimate, LabelledAnswer, Measure
from ppo_cli.records.results import ComparisonResult
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.setup.resolve import INPUTS
from ppo_cli.stats.comparability import CONTENT, MUST_AGREE, Comparability, comparability, setting_digest
from ppo_cli.stats.comparison import common_matrices
from ppo_cli.stats.comparison import compare_groups as compare_samples
from ppo_cli.stats.fail_conditions import Condition, check_condition, read_condition
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.seed_variance import MIN_SEEDS, rms_seed_difference, seed_spread
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.files import read_json
from ppo_cli.store.layout import step_of
from ppo_cli.store.runs import Run, find_run
from ppo_cli.store.seed_noise import read_seed_noise, write_seed_noise

MAY_BE_ALLOWED = ("rendered",)
"""What --allow takes."""


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One run as one side of a comparison, or as one seed of a side."""

    run: Run
    experiment: Experiment
    lock: Lock
    evaluated: EvaluationData
    """Its last evaluation on the whole set."""
    step: int


def compare(
    names: Sequence[str],
    *,
    output: Path,
    allow_confounded: bool = False,
    on_common: bool = False,
    allow: Sequence[str] = (),
    fail_if: Sequence[str] = (),
) -> list[ComparisonResult]:
    """Compares the first arm with each of the others; runs that differ in their seed only are one arm.

    Where all runs are of one arm, the first is compared with each of the others: that is its noise floor.

    Args:
        names: two or more run folders, or their names in the output folder.
        output: folder of run folders.
        allow_confounded: compare although more than one treatment differs.
        on_common: of evaluation sets that differ, compare the prompts that are the same in both.
        allow: what may differ besides: `rendered`.
        fail_if: conditions on the last arm, or on its change against the first; met or not, they are in the outcome.

    Raises:
        UsageError: fewer than two runs, no such run, or a condition that cannot be read.
        NotComparable: other prompts or other sampling, or more than one treatment differs.
        IntegrityError: a run is not finished, was changed after freezing, or holds no whole evaluation.
    """
    if len(names) < 2:
        raise UsageError("A comparison needs two runs.", "List them with `ppo runs`.")
    if unknown := sorted(set(allow) - set(MAY_BE_ALLOWED)):
        raise UsageError(f"--allow {unknown[0]} is not known.", f"It takes: {', '.join(MAY_BE_ALLOWED)}.")
    conditions = [read_condition(text, MEASURES) for text in fail_if]
    runs = [compared_run(find_run(name, output)) for name in names]
    arms = _group_by_setting(runs)
    if len(arms) == 1:
        arms = [[run] for run in runs]
    allowed = [*allow, *(["eval_set"] if on_common else [])]
    outcomes = [_compare_pair(arms[0], other, allow_confounded, allowed) for other in arms[1:]]
    if conditions:
        outcomes[-1] = replace(outcomes[-1], fail_if=_check_conditions(conditions, arms[-1], outcomes[-1]))
    return outcomes


def _group_by_setting(runs: Sequence[ComparedRun]) -> list[list[ComparedRun]]:
    """Runs by their setting, in the order of each one's first; the noise floor of several seeds is kept.

    Raises:
        UsageError: beside other settings, one has two runs of the same seed.
    """
    by_setting: dict[str, list[ComparedRun]] = {}
    for run in runs:
        by_setting.setdefault(setting_digest(run.lock), []).append(run)
    for arm in by_setting.values():
        seeds = [run.experiment.seed for run in arm]
        twice = next((place for place, seed in enumerate(seeds) if seed in seeds[:place]), None)
        if twice is not None and len(by_setting) > 1:
            first = arm[seeds.index(seeds[twice])]
            raise UsageError(
                f"{first.run.name} and {arm[twice].run.name} are one setting with one seed, so together they say no "
                "more than one of them.",
                "Leave one out.",
            )
        if twice is None and len(arm) > 1:
            write_seed_noise(_seed_noise(arm), [run.run for run in arm], RULES_VERSION)
    return list(by_setting.values())


def _seed_noise(arm: Sequence[ComparedRun]) -> SeedNoise:
    tables = [label_matrix(run.evaluated.labelled) for run in arm]
    return SeedNoise(
        runs=tuple(run.run.name for run in arm),
        seeds=tuple(run.experiment.seed for run in arm),
        typical=rms_seed_difference(_headlines(arm[0].experiment.evaluation.primary), tables),
    )


def _compare_pair(
    before: Sequence[ComparedRun], after: Sequence[ComparedRun], allow_confounded: bool, allowed: Sequence[str]
) -> ComparisonResult:
    a, b = before[0], after[0]
    found = comparability(
        a.lock,
        b.lock,
        _confounders(a.run),
        _confounders(b.run),
        same_run=a.run.layout == b.run.layout,
        allowed=allowed,
    )
    if found.refused:
        raise NotComparableError(
            f"{a.run.name} and {b.run.name} are not comparable: {'; '.join(found.refused)}.",
            _suggest_comparable(a.lock, b.lock),
        )
    if found.is_confounded and not allow_confounded:
        raise NotComparableError(
            f"Confounded: {len(found.variables)} variables differ ({', '.join(found.variables)}), so no change "
            "can be put down to one of them.",
            f"Make the runs in between, one change each ({_suggest_first_run(found)}), or look anyway with "
            "--allow-confounded. Keys that belong together are declared before training: joint_treatment=[KEY,KEY].",
        )
    common = common_prompts([*before, *after])
    if not common:
        raise NotComparableError(
            f"{a.run.name} and {b.run.name} have no prompt in common.", "Evaluate both on one set."
        )
    dropped = len(set(a.evaluated.prompts) | set(b.evaluated.prompts)) - len(common)
    samples_a, samples_b = ([_rows_of(run.evaluated.labelled, common) for run in arm] for arm in (before, after))
    settings = min((a, b), key=lambda arm: arm.run.state().started).experiment.evaluation
    same_reward = a.experiment.reward == b.experiment.reward
    measures = [measure for measure in MEASURES if same_reward or measure.family != "reward"]
    comparison = compare_samples(
        (_display_name(before), _display_name(after)),
        samples_a,
        samples_b,
        measures,
        common,
        primary=settings.primary,
        smallest_effect=settings.smallest_effect,
    )
    comparison = with_human_labels(
        comparison,
        [(run.run, run.step) for run in before],
        [(run.run, run.step) for run in after],
        common,
        settings.smallest_effect,
    )
    several = len(before) > 1 or len(after) > 1
    outcome = ComparisonResult(
        before=_display_name(before),
        after=_display_name(after),
        goal=a.experiment.goal,
        steps=(a.step, b.step),
        same_groups=found.same_groups,
        treatments=found.treatments,
        joint_variable=found.joint_variable,
        seeds=found.seeds,
        confounders=_all_confounders(found.confounders, [*before, *after]),
        same_run=found.same_run,
        comparison=replace(
            comparison,
            rewarded_measures=measures_also_rewarded({**a.experiment.reward.terms, **b.experiment.reward.terms}),
        ),
        seed_comparison=_seed_spreads(before, after, (samples_a, samples_b), settings.primary) if several else None,
        seed_noise=None if several or found.same_run else _known_seed_noise(a, b),
        waived=tuple(
            f"PARTIAL: {reason}; {dropped} prompts left out" if reason == MUST_AGREE["eval_set"] else reason
            for reason in found.waived
        ),
        leaks=_leaks([*before, *after]),
    )
    found_of = {arm.run.name: load_or_compute(arm.run, arm.evaluated, arm.step) for arm in (*before, *after)}
    seeds = [arm.experiment.seed for arm in (*before, *after)]
    return replace(
        outcome,
        alarms={name: findings.alarms for name, findings in found_of.items()},
        advice=next_step(outcome, (a.run, b.run), found_of[b.run.name], seeds),
    )


def _suggest_first_run(found: Comparability) -> str:
    """The first of the runs between two: A with one of the changes, those of a declared bundle together."""
    keys = found.joint_variable or tuple(found.treatments)[:1]
    words = [
        f"the second run's {key}" if key in CONTENT.values() else f"{key}={format_value(found.treatments[key][1])}"
        for key in keys
    ]
    return f"first {' '.join(words)} alone"


def _suggest_comparable(a: Lock, b: Lock) -> str:
    """What may help where two runs have no common measure."""
    differ = [name for name in MUST_AGREE if a.groups[name].digest != b.groups[name].digest]
    if "generation" in differ:
        return "Compare runs of the same evaluation set, rendered prompts and generation settings."
    if "eval_set" in differ:
        return "Compare the prompts that both have with --on-common."
    return "Look anyway with --allow rendered."


def common_prompts(runs: Sequence[ComparedRun]) -> dict[str, Prompt]:
    """Prompts that are the same in all runs: id, wording, and what they expect."""
    first, *others = [run.evaluated.prompts for run in runs]
    return {
        key: prompt
        for key, prompt in first.items()
        if all(
            (there := other.get(key)) is not None
            and (there.text, there.category, there.expect) == (prompt.text, prompt.category, prompt.expect)
            for other in others
        )
    }


def _rows_of(labelled: Sequence[LabelledAnswer], prompts: Mapping[str, Prompt]) -> list[LabelledAnswer]:
    return [row for row in labelled if row.prompt_id in prompts]


def _display_name(arm: Sequence[ComparedRun]) -> str:
    return arm[0].run.name if len(arm) == 1 else f"{arm[0].run.name} and {len(arm) - 1} more seeds"


def _headlines(primary: str) -> list[Measure]:
    """The primary, then the other headlines."""
    return [measure_named(primary), *(measure for measure in HEADLINES if measure.name != primary)]


def _seed_spreads(
    before: Sequence[ComparedRun],
    after: Sequence[ComparedRun],
    samples: Sequence[Sequence[Sequence[LabelledAnswer]]],
    primary: str,
) -> Seeds:
    a, b = common_matrices(*samples)
    spreads = [found for measure in _headlines(primary) if (found := seed_spread(measure, a, b)) is not None]
    return Seeds(
        before=tuple(run.run.name for run in before),
        after=tuple(run.run.name for run in after),
        seeds=(tuple(run.experiment.seed for run in before), tuple(run.experiment.seed for run in after)),
        spreads=tuple(spreads),
        enough=min(len(before), len(after)) >= MIN_SEEDS,
    )


def _known_seed_noise(a: ComparedRun, b: ComparedRun) -> SeedNoise | None:
    """What is known of the luck of the seed in A's setting, or else in B's."""
    return read_seed_noise(a.run, RULES_VERSION) or read_seed_noise(b.run, RULES_VERSION)


def _all_confounders(found: Mapping[str, tuple[str, str]], runs: Sequence[ComparedRun]) -> dict[str, tuple[str, str]]:
    """Those between the first runs of two arms, and circumstances in which any other run differs from the first."""
    first = _confounders(runs[0].run)
    others = {
        name: (first[name], value)
        for run in runs[1:]
        for name, value in _confounders(run.run).items()
        if value != first[name]
    }
    return {**others, **found}


def _leaks(runs: Sequence[ComparedRun]) -> dict[str, int]:
    """How many evaluation prompts overlap what each run learnt from."""
    found = {}
    for run in runs:
        files = [run.run.layout.root / INPUTS[key] for key in ("prompts.train", "model.warm_start")]
        learnt = [prompt for file in files if file.is_file() for prompt in read_prompts(file)]
        leaked = {overlap.eval_id for overlap in overlaps(list(run.evaluated.prompts.values()), learnt)}
        if leaked:
            found[run.run.name] = len(leaked)
    return found


def _check_conditions(
    conditions: Sequence[Condition], last: Sequence[ComparedRun], outcome: ComparisonResult
) -> tuple[FailConditionResult, ...]:
    by_hand = outcome.comparison.human_labels  # a gate asks the rule, whoever labelled what
    by_rule = by_hand.by_rule if by_hand else ()
    changes = {change.name: change for change in (*outcome.comparison.changes, *by_rule)}
    (tables,) = common_matrices([run.evaluated.labelled for run in last])
    nothing = Estimate(name="", value=None, low_95=None, high_95=None, prompts=0)
    return tuple(
        check_condition(
            condition,
            changes.get(condition.measure.name, nothing)
            if condition.of == "change"
            else estimate(condition.measure, *tables),
        )
        for condition in conditions
    )


def compared_run(run: Run) -> ComparedRun:
    """A finished run with its last evaluation on the whole set.

    Raises:
        IntegrityError: it is not finished, was changed after freezing, or holds no whole evaluation.
    """
    experiment, lock = run.verify()
    state = run.state()
    if state.status not in ("finished", "stopped"):
        resume = f"ppo train --resume {run.layout.root}"
        raise IntegrityError(
            f"{run.name} is not finished ({state.status}).",
            "Wait for it to end." if state.status == "running" else f"Finish it first: {resume}",
        )
    prompts = read_prompts(run.layout.root / INPUTS["prompts.eval"])
    whole = [
        (step, folder)
        for folder in sorted(run.layout.evaluations.iterdir())
        if (step := step_of(folder)) is not None and is_complete(folder)
    ]
    for step, folder in reversed(whole):
        evaluated = read_evaluation(folder, prompts, run.name, measures=())
        if not evaluated.partial:
            return ComparedRun(run=run, experiment=experiment, lock=lock, evaluated=evaluated, step=step)
    raise IntegrityError(f"{run.name} has no complete evaluation.", "Make one with `ppo eval --checkpoint …`.")


def _confounders(run: Run) -> dict[str, str]:
    """What moved results without being asked to: versions, machine, type of weights."""
    record = read_json(run.layout.provenance)
    git = record.get("git") or {}
    packages = record.get("packages", {})
    return {
        **{name: str(packages.get(name)) for name in ("torch", "transformers", "trl", "peft", "ppo-cli")},
        "git": f"{git.get('commit', 'none')[:10]}{' dirty' if git.get('dirty') else ''}",
        "device": str(record.get("gpu") or record.get("device")),
        "processor": str(record.get("machine", {}).get("processor")),
        "dtype": str(record.get("dtype")),
        "threads": str(record.get("threads")),
    }
