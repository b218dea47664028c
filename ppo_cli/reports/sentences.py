"""Sentences about a comparison that the screens, the HTML page and the Markdown share.

Not here: one value or one measure's verdict (`formatting`), sentences about seeds (`seed_table`).
"""

from __future__ import annotations

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.experiment.values import format_value
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.results import ComparisonResult
from ppo_cli.reports import formatting, seed_table

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
    "setting caused it."
)


def behaviour_sentences(comparison: Comparison) -> list[str]:
    """The verdict on the primary measure, then the rates behind it: of its own family, or of refusals."""
    sentences = []
    primary = change_of(comparison, comparison.primary)
    if primary is not None:
        by_people = formatting.HUMAN_MARK in formatting.marks(comparison, primary.name)
        size = "labelled by people" if by_people else f"× {comparison.samples_per_prompt}"
        details = ", ".join(filter(None, [formatting.p_value(primary.p_value), f"{primary.prompts} prompts {size}"]))
        sentence = formatting.verdict_sentence(measure_named(primary.name), primary)
        sentences.append(f"{primary.verdict}. {sentence} ({details})")
    for name, verb, prompts in RATES.get(measure_named(comparison.primary).family, RATES["refusal"]):
        rate = change_of(comparison, name)
        if rate is not None and rate.difference is not None and name != comparison.primary:
            measure = measure_named(name)
            sentences.append(
                f"{verb} {formatting.value(measure, rate.after)} of {prompts} (was "
                f"{formatting.value(measure, rate.before)}): {formatting.difference(measure, rate.difference)} "
                f"{formatting.interval(measure, rate.low_95, rate.high_95)}."
            )
    return sentences


def comparison_sentences(result: ComparisonResult) -> list[str]:
    """The verdict, what the seeds say about it, and what the difference can be attributed to."""
    sentences = behaviour_sentences(result.comparison)
    seeds = result.seed_comparison
    if against_placebo(result):
        sentences[0] = f"Treatment minus placebo: {sentences[0]}"
    elif seeds is not None:
        sentences[0] = f"These checkpoints: {sentences[0]}"
    if seeds is not None:
        sentences.append(seed_table.seeds_sentence(seeds, result.comparison.primary, result.variables))
    noise = seed_table.seed_noise_sentence(result)
    return [*sentences, *([noise] if noise else []), attribution(result)]


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
