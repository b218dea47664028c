"""Whether a reward scores answers that are known to be good higher than answers that are known to be bad.

If the prompt files have written answers, these are the good ones. Otherwise the rules judge the start model's answers,
and the check says so: a reward made of the same rules agrees with itself.

Not here: answers that are made to score high (`exploits`).
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
from ppo_cli.stats.score_intervals import wilson
from ppo_cli.text.words import words

MAX_PAIRS = 200
"""Pairs that are scored."""
MIN_ACCURACY, FAIL_ACCURACY = 0.9, 0.6
"""Share of pairs that a reward should get right, and the share below which, beyond chance, the check fails. Reward
models trained on human preferences reach 0.63 to 0.67 on hard pairs (arXiv 2403.17031); these are easy. Own choice."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of a good and a bad answer to one prompt."""

    cases: tuple[tuple[Case, Case], ...]
    """(good, bad)."""
    source: str
    """Where the two come from, for the screen."""


def known_pairs(written: Sequence[Prompt], samples: PromptAnswers, baseline: str) -> Pairs:
    """Pairs from written answers if there are any, otherwise from the start model's answers.

    Args:
        written: prompts of all files; those with an `answer` count.
        samples: answers of the start model.
        baseline: as `reward.baseline`.
    """
    answered = [prompt for prompt in written if prompt.answer]
    if len(answered) > 1:
        return _from_written(answered, baseline)
    return _from_rules(samples, baseline)


def pair_check(reward: RewardFunction, pairs: Pairs) -> Check:
    """The share of pairs whose good answer has the higher reward; ties count half."""
    name = "preference accuracy"
    reason = "a reward that prefers the worse answer teaches it"
    threshold = f"{MIN_ACCURACY:.0%} or more, fail if certainly below {FAIL_ACCURACY:.0%}"
    if not pairs.cases:
        return Check(
            name=name,
            status="warn",
            value="no pairs of a good and a bad answer",
            threshold=threshold,
            reason=reason,
            next_step="Give some prompts an `answer` that you would like, or an `expect`.",
        )
    good = rewards_of(reward, [case for case, _ in pairs.cases])
    bad = rewards_of(reward, [case for _, case in pairs.cases])
    accuracy = float(((good > bad) + 0.5 * (good == bad)).mean())
    low, high = wilson(accuracy, len(good))
    status: CheckStatus = "fail" if high < FAIL_ACCURACY else "warn" if accuracy < MIN_ACCURACY else "pass"
    return Check(
        name=name,
        status=status,
        value=f"{accuracy:.0%} of {len(good)} pairs [{low:.0%}, {high:.0%}]; {pairs.source}",
        threshold=threshold,
        reason=reason,
        next_step="" if status == "pass" else "Read the pairs that it gets wrong, then change reward.terms.",
    )


def does_as_expected(prompt: Prompt, answer: Answer) -> bool:
    """Whether an answer does, by the rules, what its prompt's `expect` asks for; for `any`, whether it has words."""
    kind = refusal.classify(answer.text)
    match prompt.expect:
        case "refuse":
            return kind in refusal.REFUSALS
        case "clarify":
            return kind in refusal.ANSWERS and asks_back(answer.text)
        case "comply":
            return (
                kind in refusal.ANSWERS
                and repetition.repeated_share(words(answer.text)) <= repetition.RUNAWAY_SHARE
                and not asks_back(answer.text)
            )
        case _:
            return kind != "empty"


def _from_written(answered: Sequence[Prompt], baseline: str) -> Pairs:
    """Each written answer, and one written for another prompt, of another `expect` if there are several."""
    by_expect: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in answered:
        by_expect[prompt.expect].append(prompt)
    several = len(by_expect) > 1
    cases: list[tuple[Case, Case]] = []
    for index, prompt in enumerate(answered[:MAX_PAIRS]):
        pool = [p for expect, prompts in by_expect.items() if expect != prompt.expect for p in prompts]
        other = pool[index % len(pool)] if several else answered[(index + len(answered) // 2) % len(answered)]
        if other.answer == prompt.answer:
            continue
        baseline_answers = baseline_for(prompt, (), "none" if baseline == "reference" else baseline)
        cases.append(
            (
                Case(prompt, make_answer(prompt.answer or ""), baseline_answers),
                Case(prompt, make_answer(other.answer or ""), baseline_answers),
            )
        )
    bad = "written for a prompt of another `expect`" if several else "written for another prompt"
    return Pairs(tuple(cases), f"good: the written answer, bad: one {bad}")


def _from_rules(samples: PromptAnswers, baseline: str) -> Pairs:
    """An answer of the start model that does as expected, and one that does as expected for another `expect`."""
    by_expect: dict[str, list[Answer]] = defaultdict(list)
    for prompt, answers in samples.rows():
        if prompt.expect != "any":
            by_expect[prompt.expect] += [answer for answer in answers if does_as_expected(prompt, answer)]
    cases: list[tuple[Case, Case]] = []
    for prompt, answers in samples.rows():
        good = next((answer for answer in answers if does_as_expected(prompt, answer)), None)
        pool = [answer for expect, fitting in by_expect.items() if expect != prompt.expect for answer in fitting]
        bad = [answer for answer in pool if not does_as_expected(prompt, answer)]
        if good is not None and bad and prompt.expect != "any":
            baseline_answers = baseline_for(prompt, answers, baseline)
            cases.append(
                (Case(prompt, good, baseline_answers), Case(prompt, bad[len(cases) % len(bad)], baseline_answers))
            )
    return Pairs(tuple(cases[:MAX_PAIRS]), "the start model's answers, told apart by the rules")
