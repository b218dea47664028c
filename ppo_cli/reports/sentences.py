"""Sentences about a comparison that the screens, the HTML page and the Markdown share.

Not here: one value or one measure's verdict (`formatting`), sentences about seeds (`seed_table`).
"""

from __future__ import annotations

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange, Seeds
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting, judge_error, seed_noise, seed_table
from ppo_cli.reports.verdicts import verdict_label
from ppo_cli.stats.seed_variance import MIN_SEEDS

FLIPPED = {
    "refused": ("refusals", "refuses"),
    "asks": ("clarifying questions", "asks back"),
    "ended": ("ended turns", "ends"),
    "empty": ("empty answers", "is empty"),
}
"""(what a prompt's rate counts, the verb for it) by label; a comparison of any other primary shows refusals."""
RATES = {
    "refusal": (("refusal.unsafe", "Refuses", "harmful requests"), ("refusal.safe", "Refuses", "harmless requests")),
    "clarification": (
        ("clarification.wanted", "Asks back on", "ambiguous requests"),
        ("clarification.unwanted", "Asks back on", "clear requests"),
    ),
}
"""(measure, verb, of which prompts) of the rates below the verdict, by the family of the primary measure."""
AGREES = {"eval_set": "evaluation set", "rendered": "prompts as tokens", "generation": "generation settings"}
"""Names of the groups of settings that were checked and are the same."""
PLACEBO_KEY = "reward.placebo"
ONE_SEED = (
    "Intervals are over prompts. With one seed per setting this shows that the two checkpoints differ, not that the "
    f"setting caused it. CHANGED takes {MIN_SEEDS} seeds or more."
)
KL, KL_PER_TOKEN, REWARD = "kl.per_answer", "kl.per_token", "reward.absolute"


def behaviour_sentences(comparison: Comparison, seeds: Seeds | None = None) -> list[str]:
    """The verdict on the primary measure and the rates behind it: of its own family, or of refusals.

    The rates come first where d′ cannot be told well (`judge_error.near_the_ends`).

    Args:
        comparison: of two policies.
        seeds: the seeds of both settings, where there are several.
    """
    return _in_order(comparison, _primary_sentences(comparison, seeds))


def comparison_sentences(result: ComparisonResult) -> list[str]:
    """The result over seeds where there are several, then that over prompts, and what it can be attributed to."""
    seeds, primary = result.seed_comparison, change_of(result.comparison, result.comparison.primary)
    leading, verdict = list[str](), _primary_sentences(result.comparison, seeds)
    if seeds is not None and primary is not None:
        label = verdict_label(primary, seeds)
        over_prompts = verdict[0].removeprefix(f"{label}. ")
        leading = [f"{label}. {seed_table.seeds_sentence(seeds, result.comparison, label, result.variables)}"]
        verdict = [f"These checkpoints, over prompts: {over_prompts}"]
    from_start = [seed_table.from_start_sentence(arm, result.comparison) for arm in result.from_start]
    sentences = [*leading, *from_start, *_in_order(result.comparison, verdict)]
    if against_placebo(result):
        sentences[0] = f"Treatment minus placebo: {sentences[0]}"
    noise = seed_noise.comparison_sentence(result)
    return [*sentences, *([noise] if noise else []), attribution(result)]


def _primary_sentences(comparison: Comparison, seeds: Seeds | None) -> list[str]:
    """The verdict on the primary measure, with what the rule's error leaves of it; empty without data."""
    primary = change_of(comparison, comparison.primary)
    if primary is None:
        return []
    by_people = formatting.HUMAN_MARK in formatting.marks(comparison, primary.name)
    size = "labelled by people" if by_people else f"× {comparison.samples_per_prompt}"
    measure = measure_named(primary.name)
    p_value = formatting.p_value(primary.p_value, at_least=formatting.is_smallest_p(measure, primary))
    details = ", ".join(filter(None, [p_value, f"{primary.prompts} prompts {size}"]))
    sentence = formatting.verdict_sentence(measure, primary, comparison)
    return [f"{verdict_label(primary, seeds)}. {sentence} ({details}){judge_error.primary_sentence(primary)}"]


def _in_order(comparison: Comparison, verdict: list[str]) -> list[str]:
    """The sentences about the primary measure and those about the rates, in the order of tables."""
    rates = []
    for name, verb, prompts in RATES.get(measure_named(comparison.primary).family, RATES["refusal"]):
        rate = change_of(comparison, name)
        if rate is not None and rate.difference is not None and name != comparison.primary:
            measure = measure_named(name)
            rates.append(
                f"{verb} {formatting.value(measure, rate.after)} of {prompts} (was "
                f"{formatting.value(measure, rate.before)}): {formatting.difference(measure, rate.difference)} "
                f"{formatting.interval(measure, rate.low_95, rate.high_95)}."
            )
    return [*rates, *verdict] if judge_error.near_the_ends(comparison) else [*verdict, *rates]


def against_placebo(result: ComparisonResult) -> bool:
    """Whether the first arm is the placebo of the second, which differs in nothing else."""
    return dict(result.treatments) == {PLACEBO_KEY: (True, False)}


def attribution(result: ComparisonResult) -> str:
    """What the difference between two runs can be attributed to."""
    if against_placebo(result):
        same_seed = result.seed_comparison is not None or result.seeds[0] == result.seeds[1]
        seed = "" if same_seed else ", and the seed differs"
        return f"A is the placebo of B: its rewards were permuted among the answers of each update{seed}."
    if result.same_run:
        return "A run compared with itself: every difference is exactly zero."
    changes = {key: f"{key} {format_value(old)} → {format_value(new)}" for key, (old, new) in result.treatments.items()}
    joint = result.joint_variable
    variables = [
        *([" with ".join(changes[key] for key in joint)] if joint else []),
        *(words for key, words in changes.items() if key not in joint),
    ]
    if len(variables) > 1:
        return f"CONFOUNDED: {len(variables)} variables changed ({'; '.join(variables)}); no effect can be attributed."
    if variables:
        same_seed = result.seed_comparison is not None or result.seeds[0] == result.seeds[1]
        seed = "" if same_seed else ", and the seed differs"
        if joint:
            return f"{variables[0]}: declared as one variable before training, and the only one changed{seed}."
        return f"{variables[0]} is the only variable changed{seed}."
    if result.seeds[0] != result.seeds[1]:
        return "Only the seed differs: this difference is seed noise."
    return "No setting differs: this checks that a run can be reproduced."


def kl_sentence(comparison: Comparison) -> str | None:
    """The exact KL of the second policy on the evaluation prompts; None where it was not measured."""
    per_answer, per_token = (change_of(comparison, name) for name in (KL, KL_PER_TOKEN))
    if per_answer is None or per_answer.after is None:
        return None
    tokens = ""
    if per_token is not None and per_token.after is not None:
        tokens = f", {formatting.value(measure_named(KL_PER_TOKEN), per_token.after)} nats per token"
    value = formatting.value(measure_named(KL), per_answer.after)
    return f"KL(policy ‖ reference), exact, on the evaluation prompts: {value} nats per answer{tokens}."


def reward_sentence(comparison: Comparison) -> str | None:
    """The reward of the answers to the evaluation prompts, before and after; None where it was not computed there."""
    change = change_of(comparison, REWARD)
    if change is None or change.difference is None:
        return None
    measure = measure_named(REWARD)
    return (
        f"Reward on the evaluation prompts, no baseline subtracted: {formatting.value(measure, change.before)} → "
        f"{formatting.value(measure, change.after)}, {formatting.difference(measure, change.difference)}, "
        f"95 % interval {formatting.interval(measure, change.low_95, change.high_95)}."
    )


def flips_line(comparison: Comparison, before: str) -> str:
    """How many prompts flipped, and how many would flip by chance.

    Args:
        comparison: of two policies.
        before: what the first policy is called.
    """
    what, _ = _flipped(comparison)
    line = f"{len(comparison.flips)} of {comparison.prompts} prompts flipped ({what} changed by half or more)"
    if comparison.expected_flip_rate is not None:
        by_chance = comparison.expected_flip_rate * comparison.prompts
        line += f"; resampling {before} alone would flip about {by_chance:.0f}"
    return f"{line}."


def flip_verb(comparison: Comparison) -> str:
    """The verb for what flips count, such as "refuses" or "asks back"."""
    return _flipped(comparison)[1]


def seeds_note(result: ComparisonResult | None) -> str:
    """What the number of seeds allows to conclude; None stands for one run against its own step 0."""
    return seed_table.SEVERAL_SEEDS_NOTE if result is not None and result.seed_comparison is not None else ONE_SEED


def change_of(comparison: Comparison, name: str) -> MeasureChange | None:
    """The change of one measure, if it was compared."""
    return next((change for change in comparison.changes if change.name == name), None)


def _flipped(comparison: Comparison) -> tuple[str, str]:
    return FLIPPED.get(measure_named(comparison.primary).label, FLIPPED["refused"])
