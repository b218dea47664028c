"""Whether a reward prefers answers known to be good to answers known to be bad.

Known from people where the prompt files have written answers; else from the rules, and then it says so: a reward made
of the same rule agrees with itself.

Not here: tricks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ppo_cli.behaviours import refusal, repetition
from ppo_cli.behaviours.clarification import asks_back
from ppo_cli.records.answers import Answer, Prompt, PromptAnswers
from ppo_cli.records.checks import Check, CheckStatus
from ppo_cli.rewards.audit.cases import Case, baseline_for, make_answer, rewards_of
from ppo_cli.rewards.reward_function import RewardFunction
from ppo_cli.stats.intervals import wilson
from ppo_cli.text.words import words

MAX_PAIRS = 200
"""Pairs that are scored."""
MIN_ACCURACY, FAIL_ACCURACY = 0.9, 0.6
"""Share of pairs that a reward should get right, and below which, beyond chance, it pays for what is wrong. Reward
models trained on people's preferences reach 0.63 to 0.67 on hard pairs (2403.17031); these are easy. Own choice."""


@dataclass(frozen=True)
class Pairs:
    """Answers of which the first is known to be better."""

    cases: tuple[tuple[Case, Case], ...]
    source: str


def known_pairs(written: Sequence[Prompt], trial: PromptAnswers, baseline: str) -> Pairs:
    """Pairs from written answers where there are any, else from the start model's own.

    Args:
        written: prompts of all files; those with an `answer` count.
        trial: what the start model answered.
        baseline: as `reward.baseline`.
    """
    answered = [prompt for prompt in written if prompt.answer]
    if len(answered) > 1:
        return _from_written(answered, baseline)
    return _from_rules(trial, baseline)


def pair_check(reward: RewardFunction, pairs: Pairs) -> Check:
    """How often the good answer of a pair earns more."""
    reason = "a reward that prefers the worse answer teaches it"
    threshold = f"{MIN_ACCURACY:.0%} or more, stop if surely below {FAIL_ACCURACY:.0%}"
    if not pairs.cases:
        return Check(
            name="reward prefers good to bad",
            status="warn",
            value="no pairs to try it on",
            threshold=threshold,
            reason=reason,
            next_step="Give some prompts an `answer` that you would like, or an `expect`.",
        )
    good = rewards_of(reward, [case for case, _ in pairs.cases])
    bad = rewards_of(reward, [case for _, case in pairs.cases])
    right = float(((good > bad) + 0.5 * (good == bad)).mean())
    low, high = wilson(right, len(good))
    outcome: CheckStatus = "stop" if high < FAIL_ACCURACY else "warn" if right < MIN_ACCURACY else "pass"
    return Check(
        name="reward prefers good to bad",
        status=outcome,
        value=f"in {right:.0%} of {len(good)} pairs [{low:.0%}, {high:.0%}]; {pairs.source}",
        threshold=threshold,
        reason=reason,
        next_step="" if outcome == "pass" else "Read the pairs that it gets wrong, then change reward.terms.",
    )


def does_as_expected(prompt: Prompt, answer: Answer) -> bool:
    """Whether an answer does by the rules what its prompt asks for; where anything goes, whether it says a word."""
    kind = refusal.classify(answer.text)
    match prompt.expect:
        case "refuse":
            return kind == "refusal"
        case "clarify":
            return kind == "none" and asks_back(answer.text)
        case "comply":
            return (
                kind == "none"
                and repetition.repeated_share(words(answer.text)) <= repetition.RUNAWAY_SHARE
                and not asks_back(answer.text)
            )
        case _:
            return kind != "empty"


def _from_written(answered: Sequence[Prompt], baseline: str) -> Pairs:
    """The written answer against one that was written for a prompt where something else is right."""
    by_expect: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in answered:
        by_expect[prompt.expect].append(prompt)
    several = len(by_expect) > 1
    cases: list[tuple[Case, Case]] = []
    for place, prompt in enumerate(answered[:MAX_PAIRS]):
        pool = [p for expect, prompts in by_expect.items() if expect != prompt.expect for p in prompts]
        stranger = pool[place % len(pool)] if several else answered[(place + len(answered) // 2) % len(answered)]
        if stranger.answer == prompt.answer:
            continue
        others = baseline_for(prompt, (), "none" if baseline == "reference" else baseline)
        cases.append(
            (
                Case(prompt, make_answer(prompt.answer or ""), others),
                Case(prompt, make_answer(stranger.answer or ""), others),
            )
        )
    where = "written for prompts of another `expect`" if several else "written for another prompt"
    return Pairs(tuple(cases), f"good: the written answer, bad: one {where}")


def _from_rules(trial: PromptAnswers, baseline: str) -> Pairs:
    """The start model's answers: one that does as expected against one that does as expected elsewhere."""
    fitting: dict[str, list[Answer]] = defaultdict(list)
    for prompt, answers in trial.rows():
        if prompt.expect != "any":
            fitting[prompt.expect] += [answer for answer in answers if does_as_expected(prompt, answer)]
    cases: list[tuple[Case, Case]] = []
    for prompt, answers in trial.rows():
        good = next((answer for answer in answers if does_as_expected(prompt, answer)), None)
        pool = [answer for expect, found in fitting.items() if expect != prompt.expect for answer in found]
        wrong = [answer for answer in pool if not does_as_expected(prompt, answer)]
        if good is not None and wrong and prompt.expect != "any":
            others = baseline_for(prompt, answers, baseline)
            cases.append((Case(prompt, good, others), Case(prompt, wrong[len(cases) % len(wrong)], others)))
    return Pairs(tuple(cases[:MAX_PAIRS]), "the start model's answers, told apart by the rules")
