"""`ppo compare`: whether runs may be compared, what differs between them, and what changed in behaviour.

Never imports torch. Not here: reading the runs (`compared_runs`), the statistics (`stats`), the page (`report`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import measures_of
from ppo_cli.errors import NotComparableError, UsageError
from ppo_cli.evaluation import compared_runs, report
from ppo_cli.evaluation.capabilities import capability_changes
from ppo_cli.evaluation.common_measures import common_measures
from ppo_cli.evaluation.compared_runs import ComparedRun
from ppo_cli.evaluation.human_labels import with_human_labels
from ppo_cli.evaluation.judge_error import with_judge_error
from ppo_cli.evaluation.known_seed_noise import headlines, known_seed_noise, measured_seed_noise
from ppo_cli.evaluation.run_alarms import next_step
from ppo_cli.evaluation.target import MODEL_EVALUATIONS
from ppo_cli.experiment.freeze import Lock
from ppo_cli.experiment.schema import Evaluation
from ppo_cli.experiment.values import format_value
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison, FailConditionResult, PooledArm, SeedNoise, Seeds
from ppo_cli.records.measures import Estimate
from ppo_cli.records.program import command
from ppo_cli.records.results import ComparisonResult
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.stats.comparability import CONTENT, MUST_AGREE, Comparability, comparability
from ppo_cli.stats.comparison import compare_groups, with_margin
from ppo_cli.stats.fail_conditions import Condition, check_condition, read_condition
from ppo_cli.stats.intervals import estimate
from ppo_cli.stats.label_matrix import LabelMatrix, common_matrices
from ppo_cli.stats.pooled_seeds import pooled_change
from ppo_cli.stats.seed_variance import MIN_SEEDS, seed_spread, value_of
from ppo_cli.store import sweeps
from ppo_cli.store.evaluations import is_complete
from ppo_cli.store.layout import VIEW_FOLDER
from ppo_cli.store.runs import Run
from ppo_cli.store.seed_noise import write_seed_noise

ALLOWED_GROUPS = ("rendered",)
"""What --allow takes."""


def compare(
    runs: Sequence[str | Path | Run],
    *,
    runs_dir: str | Path = "runs",
    allow_confounded: bool = False,
    common_prompts: bool = False,
    allow: Collection[str] = (),
    fail_if: Sequence[str] = (),
    html: str | Path | None = None,
) -> list[ComparisonResult]:
    """Compares the first arm with each of the others; runs that differ in their seed only are one arm.

    Where all runs are of one arm, the first is compared with each of the others, which shows what the seed alone does.

    Args:
        runs: two or more run folders, or their names in `runs_dir`; folders that this program keeps beside the runs,
            as `runs/*` gives them, are left out.
        runs_dir: folder of run folders.
        allow_confounded: compare although more than one variable differs.
        common_prompts: of evaluation sets that differ, compare the prompts that are the same in both.
        allow: what else may differ: `rendered`.
        fail_if: conditions on the last arm, or on its change against the first; the last result says which hold.
        html: also write two runs, or two arms of several seeds, as an HTML page into this file.

    Raises:
        UsageError: fewer than two runs, no such run, a condition that cannot be read, or a page of more than two arms.
        NotComparableError: other prompts or other sampling, or more than one variable differs.
        IntegrityError: a run is not finished, was changed after freezing, or has no whole evaluation.

    Example:
        >>> (result,) = compare(["runs/refusal-kl0.15-s1-7f3a9c", "runs/refusal-kl0.05-s1-1b22d0"])
        >>> result.comparison.changes[0].verdict
        'CHANGED'
    """
    runs = [run for run in runs if not _is_own_folder(run)]
    if len(runs) < 2:
        raise UsageError("A comparison needs two runs.", f"List them with `{command('runs')}`.")
    if unknown := sorted(set(allow) - set(ALLOWED_GROUPS)):
        raise UsageError(f"--allow {unknown[0]} is not known.", f"It takes: {', '.join(ALLOWED_GROUPS)}.")
    compared = [compared_runs.compared_run(run, Path(runs_dir)) for run in runs]
    conditions = [read_condition(text, measures_of(compared[-1].experiment)) for text in fail_if]
    arms = compared_runs.group_by_setting(compared)
    if html is not None and len(runs) != 2 and len(arms) != 2:
        raise UsageError(
            f"An HTML report shows two runs, or two settings with several seeds each; these {len(runs)} runs are of "
            f"{len(arms)}.",
            "Compare them pair by pair with --html.",
        )
    for arm in arms:
        if len(arm) > 1 and compared_runs.same_seed_twice(arm) is None:
            write_seed_noise(measured_seed_noise(arm), [run.run for run in arm], RULES_VERSION)
    of_one_setting = compared if len(arms) == 1 and compared_runs.same_seed_twice(compared) is None else []
    if len(arms) == 1:
        arms = [[run] for run in compared]
    allowed = {*allow, *(["eval_set"] if common_prompts else [])}
    pairs = [_Pair.of(arms[0], arm, allowed) for arm in arms[1:]]
    results = [_result(pair, allow_confounded) for pair in pairs]
    results[0] = replace(results[0], from_start=(*results[0].from_start, *_from_start({"": of_one_setting})))
    if conditions:
        results[-1] = replace(results[-1], fail_if=_check_conditions(conditions, pairs[-1].after, results[-1]))
    if html is not None:
        page = report.write_comparison_page(results[0], pairs[0].before, pairs[0].after, Path(html))
        results[0] = replace(results[0], page=page)
    return results


def _is_own_folder(run: str | Path | Run) -> bool:
    """Whether a word names a folder that is no run and that this program keeps beside the runs."""
    if isinstance(run, Run) or Path(run).name not in (MODEL_EVALUATIONS, sweeps.FOLDER, VIEW_FOLDER):
        return False
    return Path(run).is_dir() and not (Path(run) / "run.json").exists()


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two arms and what differs between their first runs."""

    before: Sequence[ComparedRun]
    after: Sequence[ComparedRun]
    comparability: Comparability

    @classmethod
    def of(cls, before: Sequence[ComparedRun], after: Sequence[ComparedRun], allowed: Collection[str]) -> _Pair:
        """The pair in the order given; a placebo always comes first, since it is the control arm."""
        if after[0].is_placebo and not before[0].is_placebo:
            before, after = after, before
        a, b = before[0], after[0]
        return cls(
            before=before,
            after=after,
            comparability=comparability(
                a.lock,
                b.lock,
                a.circumstances,
                b.circumstances,
                same_run=a.run.layout == b.run.layout,
                allowed=allowed,
            ),
        )

    @property
    def runs(self) -> list[ComparedRun]:
        return [*self.before, *self.after]

    @property
    def has_seeds(self) -> bool:
        """Whether an arm has several seeds."""
        return len(self.runs) > 2


def _result(pair: _Pair, allow_confounded: bool) -> ComparisonResult:
    a, b, checked = pair.before[0], pair.after[0], pair.comparability
    _require_comparable(a, b, checked, allow_confounded)
    prompts = compared_runs.common_prompts(pair.runs)
    if not prompts:
        raise NotComparableError(f"{a.name} and {b.name} have no prompt in common.", "Evaluate both on one set.")
    dropped = len(set(a.evaluated.prompts) | set(b.evaluated.prompts)) - len(prompts)
    settings = min((a, b), key=lambda run: run.records.state.started).experiment.evaluation
    arms = pair.before, pair.after
    matrices = common_matrices(
        *([run.evaluated.matrix.only(prompts).clustered(settings.cluster, prompts) for run in arm] for arm in arms)
    )
    result = ComparisonResult(
        before=_display_name(pair.before),
        after=_display_name(pair.after),
        goal=a.experiment.goal,
        steps=(a.step, b.step),
        same_groups=checked.same_groups,
        treatments=checked.treatments,
        joint_variable=checked.joint_variable,
        seeds=checked.seeds,
        confounders=compared_runs.differing_circumstances(checked.confounders, pair.runs),
        same_run=checked.same_run,
        comparison=_comparison(pair, matrices, prompts),
        seed_comparison=_seed_spreads(pair, matrices, settings) if pair.has_seeds else None,
        from_start=_from_start({"A": pair.before, "B": pair.after}),
        seed_noise=None if pair.has_seeds or checked.same_run else _seed_noise_of(a, b),
        waived=tuple(
            f"PARTIAL: {reason}; {dropped} prompts left out" if reason == MUST_AGREE["eval_set"] else reason
            for reason in checked.waived
        ),
        leaks=compared_runs.leaks(pair.runs),
        alarms={run.name: run.findings.alarms for run in pair.runs},
    )
    seeds = [run.experiment.seed for run in pair.runs]
    return replace(result, advice=next_step(result, (a.run, b.run), b.findings, seeds))


def _require_comparable(a: ComparedRun, b: ComparedRun, checked: Comparability, allow_confounded: bool) -> None:
    """Refuses a comparison that would mean nothing.

    Raises:
        NotComparableError: with the reason and what to do about it.
    """
    if checked.refused:
        raise NotComparableError(
            f"{a.name} and {b.name} are not comparable: {'; '.join(checked.refused)}.",
            _suggest_comparable(a.lock, b.lock),
        )
    if checked.is_confounded and not allow_confounded:
        raise NotComparableError(
            f"Confounded: {len(checked.variables)} variables differ ({', '.join(checked.variables)}), so no change "
            "can be attributed to one of them.",
            f"Make the runs in between, one change each ({_suggest_first_run(checked)}), or compare anyway with "
            "--allow-confounded. Keys that belong together are declared as one before training: variable=[KEY,KEY].",
        )


def _comparison(pair: _Pair, matrices: Sequence[Sequence[LabelMatrix]], prompts: dict[str, Prompt]) -> Comparison:
    """What changed in behaviour, by the primary measure of the run that was started first."""
    a, b = pair.before[0], pair.after[0]
    settings = min((a, b), key=lambda run: run.records.state.started).experiment.evaluation
    by_rule = compare_groups(
        (_display_name(pair.before), _display_name(pair.after)),
        matrices[0],
        matrices[1],
        common_measures(a, b, settings.primary),
        prompts,
        primary=settings.primary,
        smallest_effect=settings.smallest_effect,
    )
    before, after = ([run.evaluated for run in arm] for arm in (pair.before, pair.after))
    comparison = with_human_labels(by_rule, before, after, prompts, settings.smallest_effect)
    comparison = with_judge_error(comparison, before, after, matrices)
    return replace(
        comparison,
        capabilities=capability_changes(b.experiment, *([one.capabilities for one in arm] for arm in (before, after))),
        rewarded_measures=measures_also_rewarded(a.experiment, b.experiment),
        smallest_effect=settings.smallest_effect,
    )


def _suggest_first_run(checked: Comparability) -> str:
    """The first of the runs between two: A with one of the changes, or with all that were declared as one."""
    keys = checked.joint_variable or tuple(checked.treatments)[:1]
    words = [
        f"the second run's {key}" if key in CONTENT.values() else f"{key}={format_value(checked.treatments[key][1])}"
        for key in keys
    ]
    return f"first {' '.join(words)} alone"


def _suggest_comparable(a: Lock, b: Lock) -> str:
    """What to do where two runs have no common measure."""
    differing = [name for name in MUST_AGREE if a.groups[name].digest != b.groups[name].digest]
    if "generation" in differing:
        return "Compare runs of the same evaluation set, rendered prompts and generation settings."
    if "eval_set" in differing:
        return "Compare the prompts that both have with --common-prompts."
    return "Compare anyway with --allow rendered."


def _display_name(arm: Sequence[ComparedRun]) -> str:
    more = len(arm) - 1
    return f"{arm[0].name} + {more} more seed{'s' if more > 1 else ''}" if more else arm[0].name


def _seed_spreads(pair: _Pair, matrices: Sequence[Sequence[LabelMatrix]], settings: Evaluation) -> Seeds:
    before, after = matrices
    seeds = (
        tuple(run.experiment.seed for run in pair.before),
        tuple(run.experiment.seed for run in pair.after),
    )
    primary, *others = headlines(settings.primary)
    measures = [with_margin(primary, settings.smallest_effect), *others]
    spreads = [seed_spread(measure, before, after, seeds) for measure in measures]
    return Seeds(
        before=tuple(run.name for run in pair.before),
        after=tuple(run.name for run in pair.after),
        seeds=seeds,
        spreads=tuple(spread for spread in spreads if spread is not None),
        enough=min(len(pair.before), len(pair.after)) >= MIN_SEEDS,
    )


def _from_start(arms: Mapping[str, Sequence[ComparedRun]]) -> tuple[PooledArm, ...]:
    """The primary measure of each arm of several seeds at step 0, which all its seeds share, and at the last step."""
    pooled = []
    for name, arm in arms.items():
        if len(arm) < 2 or not is_complete(arm[0].records.layout.evaluation(0)):
            continue
        settings = arm[0].experiment.evaluation
        measure = with_margin(headlines(settings.primary)[0], settings.smallest_effect)
        matrices = [arm[0].records.evaluation(0).matrix, *(run.evaluated.matrix for run in arm)]
        on_scale = math.exp if measure.statistic == "geometric_mean" else float
        values = [on_scale(value) for matrix in matrices if (value := value_of(measure, matrix)) is not None]
        change = pooled_change(measure, values[0], values[1:]) if len(values) == len(matrices) else None
        if change is not None:
            seeds = tuple(run.experiment.seed for run in arm)
            pooled.append(PooledArm(name=name, seeds=seeds, pooled=change))
    return tuple(pooled)


def _seed_noise_of(a: ComparedRun, b: ComparedRun) -> SeedNoise | None:
    """How much the seed alone changes measures in A's setting, or else in B's; None where neither is known."""
    return known_seed_noise(a.run, a.lock) or known_seed_noise(b.run, b.lock)


def _check_conditions(
    conditions: Sequence[Condition], last: Sequence[ComparedRun], result: ComparisonResult
) -> tuple[FailConditionResult, ...]:
    human_labels = result.comparison.human_labels  # conditions use the rule, whoever labelled answers
    by_rule = human_labels.by_rule if human_labels else ()
    changes = {change.name: change for change in (*result.comparison.changes, *by_rule)}
    (matrices,) = common_matrices([run.evaluated.matrix for run in last])
    no_data = Estimate(name="", value=None, low_95=None, high_95=None, prompts=0)
    return tuple(
        check_condition(
            condition,
            changes.get(condition.measure.name, no_data)
            if condition.of == "change"
            else estimate(condition.measure, *matrices),
        )
        for condition in conditions
    )
