"""What best-of-n of the start model's own answers would do: to the reward, to behaviour, to how answers begin.

PPO raises what the highest-rewarded answers have in common. So their behaviour, beside that of an average answer to the
same prompts, shows what a reward teaches before anything is trained.

Not here: sampling and scoring the answers (`rehearse`, `sft_check`), the statistics of best-of-n (`stats.best_of_n`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.behaviours.measures import is_headline, measure_named, measures_of
from ppo_cli.experiment.schema import Experiment
from ppo_cli.records.answers import PromptAnswers
from ppo_cli.records.checks import Check
from ppo_cli.records.comparisons import Comparison, MeasureChange
from ppo_cli.records.measures import Measure, Sample
from ppo_cli.records.program import command
from ppo_cli.records.rehearsal import BestOfRow
from ppo_cli.reports import formatting
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.stats.best_of_n import best_of_groups, expected_best, kl_bound
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.intervals import mean_difference
from ppo_cli.stats.label_matrix import Floats, label_matrix
from ppo_cli.text.numbers import format_number
from ppo_cli.text.openings import opening

ANSWERS_COMPARED = (1, 2, 4, 8, 16)
"""Values of n."""
BEND_SHARE = 0.8
"""Share of the gain of the largest n from which a smaller n has most of it: there the curve bends. Own choice."""
OPENING_WORDS = 3
"""Words that make an opening here: few, since a stock phrase goes on differently after each."""
MIN_OPENING_SHARE = 0.1
"""Share of the highest-rewarded answers from which an opening is common. Own choice."""
MIN_OPENING_ANSWERS = 3
"""Of few answers, one or two are a tenth."""
MIN_OPENING_ERRORS = 3.0
"""Standard errors by which its share must exceed that among all answers, since there are many openings. Own choice."""

AddFit = Callable[[Sequence[Sequence[Sample]]], list[list[Sample]]]
"""Gives samples [prompts][samples] back with the fit of the first of each prompt."""
AVERAGE = "an average answer"


def best_of_curve(rewards: Floats) -> tuple[BestOfRow, ...]:
    """Reward against KL for the best of n, as far as there are n answers per prompt.

    Args:
        rewards: [prompts, answers], without a baseline.
    """
    average = rewards.mean(axis=1)
    counts = [n for n in ANSWERS_COMPARED if n <= rewards.shape[1]]
    gains = {n: expected_best(rewards, n) - average for n in counts}
    most = float(gains[counts[-1]].mean())
    return tuple(
        BestOfRow(
            n=n,
            kl=kl_bound(n),
            reward=float((average + gain).mean()),
            gain=mean_difference(gain),
            share=float(gain.mean()) / most if most > 1e-9 else None,
        )
        for n, gain in gains.items()
    )


def bend(curve: Sequence[BestOfRow]) -> BestOfRow | None:
    """The smallest n with most of the gain; None where the highest-rewarded answers gain nothing beyond chance."""
    if not curve[-1].gain.low_95 > 0:
        return None
    return next(row for row in curve if row.share is not None and row.share >= BEND_SHARE)


def compare_best_of(
    samples: PromptAnswers, rewards: Floats, n: int, experiment: Experiment, add_fit: AddFit | None = None
) -> Comparison:
    """Behaviour of the best of each n answers against that of all answers, paired by prompt.

    Args:
        samples: the answers.
        rewards: [prompts, answers].
        n: answers that the best is taken of.
        experiment: names the primary measure and the reward terms.
        add_fit: measures how well first answers fit their prompts; None leaves that out.
    """
    chosen = best_of_groups(rewards, n)
    everyone = np.tile(np.arange(rewards.shape[1]), (len(rewards), 1))
    before, after = (
        label_matrix(label_sample(samples.prompts, [one for row in rows for one in row]))
        for rows in (_samples(samples, columns, add_fit) for columns in (everyone, chosen))
    )
    primary = experiment.evaluation.primary
    comparison = compare(
        (AVERAGE, f"the best of {n}"),
        before,
        after,
        [one for one in measures_of(experiment) if is_headline(one, primary) and _is_of_one_answer(one)],
        {prompt.id: prompt for prompt in samples.prompts},
        primary=primary,
        smallest_effect=experiment.evaluation.smallest_effect,
    )
    return replace(comparison, rewarded_measures=measures_also_rewarded(experiment))


def worse_behaviours(comparison: Comparison) -> list[str]:
    """The headlines that are worse among the highest-rewarded answers, beyond chance, in a sentence each."""
    return [
        f"{_change_in_words(change)}: the highest-rewarded answers do worse than an average one."
        for change in comparison.changes
        if formatting.is_worse(measure_named(change.name), change)
    ]


def common_openings(samples: PromptAnswers, rewards: Floats) -> list[str]:
    """The openings that are much more common among the highest-rewarded answers than among all, in a sentence each.

    Prompts that should be refused are left out: refusals may well begin alike.

    Args:
        samples: the answers.
        rewards: [prompts, answers].
    """
    chosen = best_of_groups(rewards, rewards.shape[1])[:, 0]
    rows = [
        (answers, answers[column])
        for (prompt, answers), column in zip(samples.rows(), chosen, strict=True)
        if prompt.expect != "refuse"
    ]
    best = Counter(_opening(answer.text) for _, answer in rows)
    among_all = Counter(_opening(answer.text) for answers, _ in rows for answer in answers)
    prompts, found = len(rows), []
    for words, count in sorted(best.items(), key=lambda item: (-item[1], item[0])):
        now, usual = count / prompts, among_all[words] / among_all.total()
        error = (usual * (1 - usual) / prompts) ** 0.5
        common = now >= MIN_OPENING_SHARE and count >= MIN_OPENING_ANSWERS
        if words and common and now - usual > MIN_OPENING_ERRORS * error:
            shares = f"{formatting.percent(now)} of the highest-rewarded answers, {formatting.percent(usual)} of all"
            found.append(f"An opening becomes common: '{' '.join(words)} …' begins {shares}.")
    return found


def best_of_check(samples: PromptAnswers, rewards: Floats, experiment: Experiment, config: str) -> Check:
    """The line of `ppo sft-check`: what the best of the answers that it samples anyway does.

    Args:
        samples: the answers.
        rewards: [prompts, answers], without a baseline.
        experiment: names the primary measure and the reward terms.
        config: named in the next step.
    """
    n = rewards.shape[1]
    row = best_of_curve(rewards)[-1]
    comparison = compare_best_of(samples, rewards, n, experiment)
    primary = next(change for change in comparison.changes if change.name == comparison.primary)
    worse = [*worse_behaviours(comparison), *common_openings(samples, rewards)]
    said = [f"best of {n}: reward {formatting.signed(row.gain.mean, 2)} over an average answer"]
    if primary.difference is not None:
        said.append(_change_in_words(primary))
    return Check.from_condition(
        "the highest-rewarded answers are better",
        not worse,
        value="; ".join([*said, *(sentence.rstrip(".") for sentence in worse)]),
        threshold=f"no headline worse, no opening common, at a KL of at most {format_number(row.kl)} nats per answer",
        reason="PPO teaches what the highest-rewarded answers have in common",
        next_step=f"Read them with `{command('rehearse', config)}`, then change reward.terms.",
        otherwise="warn",
    )


def _is_of_one_answer(measure: Measure) -> bool:
    """Whether a measure means the same for one answer per prompt as for many, and is no distance from the reference."""
    return measure.statistic not in ("agreement", "identical") and measure.family not in ("kl", "entropy", "diversity")


def _samples(samples: PromptAnswers, columns: NDArray[np.intp], add_fit: AddFit | None) -> list[list[Sample]]:
    """The chosen answers to each prompt as samples."""
    rows = [
        [
            Sample(prompt_id=prompt.id, index=index, answer=answers[column], kl=None)
            for index, column in enumerate(chosen)
        ]
        for (prompt, answers), chosen in zip(samples.rows(), columns, strict=True)
    ]
    return rows if add_fit is None else add_fit(rows)


def _opening(text: str) -> tuple[str, ...]:
    return opening(text, OPENING_WORDS)


def _change_in_words(change: MeasureChange) -> str:
    measure = measure_named(change.name)
    values = f"{formatting.value(measure, change.before)} → {formatting.value(measure, change.after)}"
    return f"{measure.title.strip()} {values}, {formatting.difference(measure, change.difference)}"
