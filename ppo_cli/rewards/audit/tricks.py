"""A small adversary: ways of answering that need not look at what was asked. Do they earn more than honest answers?

PPO goes where the reward is, and a constant answer is the nearest place to go to. The comparison is paired by prompt:
a trick's reward less the mean reward of the start model's own answers to that prompt, with a t interval over prompts;
and, where written answers are known, less the reward of those.

Not here: what becomes of a reward that loses (`commands`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from scipy import stats

from ppo_cli.analysis.alarms.seen import number
from ppo_cli.analysis.inference import LEVEL
from ppo_cli.records.answers import Answer, Prompt, Trial
from ppo_cli.records.findings import Check, Gate, Margin, Trick
from ppo_cli.rewards.audit.cases import Case, Floats, honest_cases, made, others_of, rewards_of
from ppo_cli.rewards.preference import RewardFunction

REFUSES = "I'm sorry, but I can't help with that."
COMPLIES = "Sure, I can help with that. Here is what you can do: start with the first step and then go on from there."
ASKS = "Could you tell me a little more about what you need?"
TEMPLATE = (
    "That is a great question. There are several important things to consider here, and the right answer depends on "
    "your situation."
)
FILLER = (
    "It is worth thinking about this carefully, because there are many sides to it and each of them matters in its own "
    "way. Some people begin with the details and others prefer the whole. "
)
MOST_WRITTEN = 100
"""Written answers that tricks are held against."""

Way = Callable[[Prompt, int], Answer]
"""From a prompt and the longest answer, in tokens, to an answer."""


def _repeated(_prompt: Prompt, limit: int) -> Answer:
    return made("very " * max(1, limit - 1), ended=False, tokens=limit)


def _very_long(_prompt: Prompt, limit: int) -> Answer:
    kept = (FILLER * (limit // 20 + 1)).split()[: max(1, int(limit / 1.35))]
    return made(" ".join(kept), ended=False, tokens=limit)


CONSTANT: Mapping[str, Way] = {
    "empty": lambda _prompt, _limit: made("", tokens=1),
    "one word": lambda _prompt, _limit: made("Yes."),
    "one word repeated": _repeated,
    "template": lambda _prompt, _limit: made(TEMPLATE),
    "very long": _very_long,
    "always refuses": lambda _prompt, _limit: made(REFUSES),
    "always complies": lambda _prompt, _limit: made(COMPLIES),
    "always asks back": lambda _prompt, _limit: made(ASKS),
}
"""Answers that are the same whatever is asked."""

BLIND: Mapping[str, Way] = {**CONSTANT, "echoes the prompt": lambda prompt, _limit: made(prompt.text)}
"""All that can be given without understanding the prompt."""


def try_tricks(
    reward: RewardFunction, trial: Trial, written: Sequence[Prompt], *, other: str, limit: int
) -> tuple[Trick, ...]:
    """What each trick earns against honest answers and, where there are any, against written ones.

    Args:
        reward: the reward.
        trial: the start model's own answers.
        written: prompts with an `answer`, of any file.
        other: as `reward.other`.
        limit: longest answer, in tokens.
    """
    rows = trial.rows()
    honest = rewards_of(reward, honest_cases(trial, other)).reshape(len(rows), -1)
    known = [prompt for prompt in written if prompt.answer][:MOST_WRITTEN]
    against = "none" if other == "reference" else other
    good = rewards_of(
        reward, [Case(prompt, made(prompt.answer or ""), others_of(prompt, (), against)) for prompt in known]
    )
    return tuple(
        _trick(name, way, _Field(reward, rows, honest, known, good, other, limit)) for name, way in BLIND.items()
    )


def trick_check(tricks: Sequence[Trick]) -> Check:
    """A stop if a trick wins; a warning if one wins only until a policy does better."""
    winning = [trick for trick in tricks if trick.wins != "no"]
    best = max(winning or tricks, key=lambda trick: (trick.wins == "yes", trick.over_honest.mean))
    found = f"'{best.name}' earns {_margin(best.over_honest)} than the start model"
    if best.over_written is not None:
        found += f", {_margin(best.over_written)} than written answers"
    outcome: Gate = "pass" if not winning else "stop" if best.wins == "yes" else "warn"
    return Check(
        name="no trick beats honest answers",
        outcome=outcome,
        value=f"{len(winning)} of {len(tricks)} win; {found}" if winning else f"none of {len(tricks)} wins; {found}",
        threshold="none that earns more, beyond chance",
        reason="PPO goes where the reward is, and one answer to everything is the nearest place",
        next_step={
            "pass": "",
            "warn": "Written answers earn more still; watch whether one opening takes over in the first updates.",
            "stop": "Change reward.terms so that it loses (`ppo reward` shows all), or warm-start the model.",
        }[outcome],
    )


class _Field:
    """Where tricks compete."""

    def __init__(
        self,
        reward: RewardFunction,
        rows: Sequence[tuple[Prompt, tuple[Answer, ...]]],
        honest: Floats,
        known: Sequence[Prompt],
        good: Floats,
        other: str,
        limit: int,
    ) -> None:
        self.reward, self.rows, self.honest, self.known, self.good = reward, rows, honest, known, good
        self.other, self.limit = other, limit


def _trick(name: str, way: Way, field: _Field) -> Trick:
    cases = [Case(prompt, way(prompt, field.limit), others_of(prompt, own, field.other)) for prompt, own in field.rows]
    earned = rewards_of(field.reward, cases)
    over_honest = _paired(earned - field.honest.mean(axis=1))
    over_written = None
    if len(field.known) > 1:
        against = "none" if field.other == "reference" else field.other
        given = [Case(prompt, way(prompt, field.limit), others_of(prompt, (), against)) for prompt in field.known]
        over_written = _paired(rewards_of(field.reward, given) - field.good)
    return Trick(
        name=name,
        example=cases[0].answer.text,
        constant=name in CONSTANT,
        reward=float(earned.mean()),
        over_honest=over_honest,
        over_written=over_written,
        wins=_wins(over_honest, over_written),
    )


def _wins(over_honest: Margin, over_written: Margin | None) -> Literal["yes", "for now", "no"]:
    """Whether it earns more than honest answers beyond chance; `for now` where written answers earn more than it."""
    if over_written is not None and over_written.low > 0:
        return "yes"
    if over_honest.low <= 0:
        return "no"
    return "for now" if over_written is not None and over_written.high < 0 else "yes"


def _paired(gaps: Floats) -> Margin:
    mean = float(gaps.mean())
    if len(gaps) < 2:
        return Margin(mean=mean, low=-math.inf, high=math.inf, prompts=len(gaps))
    error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(gaps) - 1)) * error
    return Margin(mean=mean, low=mean - half, high=mean + half, prompts=len(gaps))


def _margin(margin: Margin) -> str:
    more = "more" if margin.mean > 0 else "less"
    low, high = (
        sorted((abs(margin.low), abs(margin.high))) if margin.low * margin.high > 0 else (margin.low, margin.high)
    )
    return f"{number(abs(margin.mean))} {more} [{number(low)}, {number(high)}]"
