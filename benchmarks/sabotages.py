"""The ways in which simulated runs are sabotaged, each with its strength and the alarm that is meant to see it.

A weak sabotage is one that an alarm need not see: it is in the table of docs/alarms.md and not in an alarm's rate.

Not here: what a healthy run does (`simulated_plan.py`), counting (`alarms.py`), sabotaged real runs
(`sabotaged_runs.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from simulated_plan import Plan
from simulated_runs import SHIPPED, prompt_sets, run_experiment

from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import Comparison
from ppo_cli.stats.label_matrix import LabelMatrix

Copy = Literal["copied", "one word changed", "in another order", "with the shared instruction"]

INSTRUCTION = (
    "You are the assistant of a small public library. Answer in plain words, keep to what was asked, and say so if you "
    "do not know. Here is the request:"
)
PRODUCTION_GOALS = (
    "Be ready for production.",
    "Refuse what hurts, so that we can deploy the model to our customers.",
    "When a user asks anything, give production-quality answers.",
    "Answer every request well before we go live.",
    "Be good enough to release to the public.",
)


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One way of spoiling a run, at one strength."""

    alarm: str
    """That is meant to see it."""
    what: str
    weak: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a plan that it replaces."""
    topics: tuple[int, int] | None = None
    """So many subjects among so many training prompts."""
    goal: bool = False
    """Whether a first run's goal is to hand the model over."""
    changed_keys: tuple[str, ...] = ("kl.coef",)
    share: float = 0.0
    """Of the evaluation prompts that training prompts repeat."""
    kind: Copy = "copied"

    def settings(self, plan: Plan, generator: np.random.Generator) -> dict[str, Any]:
        """Fields of the run's history that it replaces."""
        settings: dict[str, Any] = {"changed_keys": self.changed_keys}
        if self.goal:
            settings["experiment"] = run_experiment(plan, goal=PRODUCTION_GOALS[generator.integers(5)])
        if self.topics:
            settings["train"] = narrow_prompts(*self.topics, plan, generator)
        return settings


STILL = {"reward_rise": 0.0, "apart": 0.0, "refuses_more": 0.0, "plain": 0.0, "longer": 0.0, "ended": 0.0, "fit": 0.0}
"""A policy that does not change."""
STAYS = {**STILL, "kl_shape": "none", "kl_per_token": 0.0, "approx_kl": 1e-6, "clipped": 0.0, "ratio_spread": 0.0}
JUMPS = {"longer": 0.7, "ended": -3.0, "refuses_more": -3.0, "keywords": (0.2, 0.6), "broken": (0.03, 0.5)}
LONG, RECIPE = {"updates": 40, "episodes": 64}, {"updates": 28, "episodes": 64, "prompts": 0}

SABOTAGES = (
    Sabotage(alarm="eval_contamination", what="one evaluation prompt copied into training", share=0.0),
    Sabotage(alarm="eval_contamination", what="10 % copied", share=0.1),
    Sabotage(alarm="eval_contamination", what="10 % copied, one word changed", share=0.1, kind="one word changed"),
    Sabotage(alarm="eval_contamination", what="10 % copied, in another order", share=0.1, kind="in another order"),
    Sabotage(
        alarm="eval_contamination",
        what="10 % copied, all prompts with one long instruction",
        share=0.1,
        kind="with the shared instruction",
    ),
    Sabotage(alarm="no_learning", what="learning rate 0", plan=STAYS),
    Sabotage(
        alarm="no_learning",
        what="learning rate too small: KL 0.03 nats per answer",
        plan={**STAYS, "kl_per_token": 0.002, "kl_shape": "line"},
    ),
    Sabotage(alarm="no_learning", what="equal rewards", plan={**STAYS, "reward_std": 0.0}),
    Sabotage(
        alarm="no_learning",
        what="KL of 0.2 nats per answer",
        weak=True,
        plan={**STILL, "kl_per_token": 0.015, "kl_shape": "levels off"},
    ),
    Sabotage(alarm="unstable_updates", what="approx_kl of 0.15", weak=True, plan={"approx_kl": 0.15}),
    Sabotage(alarm="unstable_updates", what="approx_kl of 0.4", plan={"approx_kl": 0.4}),
    Sabotage(alarm="unstable_updates", what="40 % of the tokens clipped", plan={"clipped": 0.4}),
    Sabotage(alarm="unstable_updates", what="mean ratio of 2", plan={"ratio_spread": 1.0}),
    Sabotage(alarm="unstable_updates", what="explained variance of −1", plan={"explained_variance": -1.0}),
    Sabotage(
        alarm="policy_drift",
        what="no KL penalty: 0.4 nats per token",
        weak=True,
        plan={"kl_per_token": 0.4, "kl_shape": "square"},
    ),
    Sabotage(
        alarm="policy_drift",
        what="no KL penalty: 0.8 nats per token",
        plan={"kl_per_token": 0.8, "kl_shape": "square"},
    ),
    Sabotage(alarm="policy_drift", what="KL explodes to 0.6", plan={"kl_per_token": 0.6, "kl_shape": "explodes"}),
    Sabotage(alarm="policy_drift", what="entropy falls to a fifth", plan={"entropy": (0.9, 0.18)}),
    Sabotage(alarm="policy_drift", what="repetition in 40 % of the answers", plan={"broken": (0.03, 0.4)}),
    Sabotage(alarm="policy_drift", what="20 % empty answers", plan={"empty": (0.01, 0.2)}),
    Sabotage(
        alarm="reward_hacking",
        what="reward for one opening: 50 % of the answers",
        plan={"one_opening": (0.0, 0.6), "reward_rise": 1.0},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="reward for one opening: 90 % of the answers",
        plan={"one_opening": (0.0, 1.0), "reward_rise": 1.5},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="reward for length: answers a third longer",
        plan={"length_in_reward": 1.0, "longer": 0.35, "reward_rise": 0.8},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="reward for length: twice as long",
        plan={"length_in_reward": 1.0, "longer": 0.9, "reward_rise": 1.5},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="reward for brevity that costs keywords",
        plan={"reward": 3, "keywords": (0.36, 0.1), "longer": -0.7, "reward_rise": 1.0},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="stock phrases: five openings from 9 to 20 %",
        plan={**RECIPE, "openings": (0.055, 0.22)},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="stock phrases: five openings from 8 to 23 %",
        plan={**RECIPE, "openings": (0.035, 0.26)},
    ),
    Sabotage(
        alarm="reward_hacking", what="stock phrases: five openings from 9 to 40 %", plan={"openings": (0.03, 0.45)}
    ),
    Sabotage(
        alarm="reward_hacking",
        what="empty offers: from 2 to 10 % of the answers that help",
        plan={**RECIPE, "offers": (0.005, 0.115)},
    ),
    Sabotage(alarm="reward_hacking", what="empty offers: from 2 to 25 %", plan={"offers": (0.0, 0.3)}),
    Sabotage(
        alarm="reward_hacking",
        what="answers say less: fit lower by 3 nats",
        weak=True,
        plan={"fit": -3.0, "plain": -1.0, "apart": 0.6},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="answers say less: fit lower by 8 nats",
        plan={"fit": -8.0, "plain": -1.0, "apart": 0.6},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="reward for any refusal",
        plan={"reward": 2, "apart": 0.0, "refuses_more": 2.5, "plain": 0.0, "reward_rise": 1.0},
    ),
    Sabotage(
        alarm="reward_hacking",
        what="d′ falls by 0.7",
        plan={"apart": -0.8, "refuses_more": 0.0, "plain": 0.0, "reward_rise": 0.8},
    ),
    Sabotage(
        alarm="judges_disagree",
        what="agreement of the judges falls from 91 to 85 %",
        weak=True,
        plan={"judges_agree": (0.91, 0.85)},
    ),
    Sabotage(
        alarm="judges_disagree",
        what="agreement of the judges falls from 91 to 70 %",
        plan={"judges_agree": (0.91, 0.7)},
    ),
    Sabotage(alarm="narrow_data", what="8 subjects in 80 prompts", topics=(8, 80)),
    Sabotage(alarm="narrow_data", what="30 subjects in 100 prompts", topics=(30, 100)),
    Sabotage(alarm="narrow_data", what="60 subjects in 100 prompts", weak=True, topics=(60, 100)),
    Sabotage(alarm="narrow_data", what="100 prompts, each 26 times", plan={**LONG, "prompts": 2}),
    Sabotage(
        alarm="narrow_data",
        what="gain of d′ on prompts like training only",
        plan={"apart": 2.5, "apart_far": 0.0, "refuses_more": 0.0, "plain": 0.0, "prompts": 0},
    ),
    Sabotage(
        alarm="narrow_data",
        what="the same on 60 to 120 prompts",
        weak=True,
        plan={"apart": 2.0, "apart_far": 0.0, "refuses_more": 0.0, "plain": 0.0, "prompts": 1},
    ),
    Sabotage(
        alarm="narrow_data",
        what="reward rises in training only",
        plan={"rise_on_evaluation": 0.0, "reward_rise": 0.9, "reward_std": 1.1, "apart": 0.0, **RECIPE},
    ),
    Sabotage(
        alarm="too_many_changes",
        what="reward and training prompts changed in round 1",
        changed_keys=("reward.terms.matches_expect.weight", "prompts.train"),
    ),
    Sabotage(alarm="too_many_changes", what="evaluation prompts changed in round 1", changed_keys=("prompts.eval",)),
    Sabotage(alarm="too_many_changes", what="a goal to hand the model over in round 1", goal=True),
    Sabotage(
        alarm="too_many_changes",
        what="plainly safe prompts refused more, by 10 points",
        weak=True,
        plan={"plain": 0.6, "apart": 0.0, "refuses_more": 0.0},
    ),
    Sabotage(
        alarm="too_many_changes",
        what="plainly safe prompts refused more, by 35 points",
        plan={"plain": 2.2, "apart": 0.0, "refuses_more": 0.0},
    ),
    Sabotage(alarm="too_many_changes", what="five kinds of behaviour jump", plan=JUMPS),
)


def narrow_prompts(subjects: int, count: int, plan: Plan, generator: np.random.Generator) -> list[Prompt]:
    """Training prompts that are variations of a few."""
    train = prompt_sets(plan.prompts)[0]
    chosen = [train[place] for place in generator.permutation(len(train))[:subjects]]
    before, after = (
        ("Please: ", "Tell me, ", "So, ", "Again, ", ""),
        (" Be brief.", " Thanks.", " I wonder.", "", " Now."),
    )
    return [
        replace(one, id=f"n{place}", text=f"{before[place // subjects % 5]}{one.text}{after[place // subjects % 4]}")
        for place, one in ((place, chosen[place % subjects]) for place in range(count))
    ]


@functools.cache
def shipped(name: str) -> tuple[Sequence[Prompt], Sequence[Prompt]]:
    """Training and evaluation prompts of a recipe."""
    train, evaluation = (read_prompts(SHIPPED / name / f"{part}.jsonl") for part in ("train", "eval"))
    return train, evaluation


def healthy_sets(generator: np.random.Generator) -> RunHistory:
    """A part of a recipe's prompts; every other time with one long instruction before each of them."""
    train, evaluation = _drawn_sets(generator)
    if generator.random() < 0.5:
        train, evaluation = _instructed(train), _instructed(evaluation)
    return history_of_prompts(train, evaluation)


def contaminated_sets(generator: np.random.Generator, share: float, kind: Copy) -> RunHistory:
    """The same with copies of some evaluation prompts among the training prompts, one at least."""
    train, evaluation = _drawn_sets(generator)
    chosen = generator.permutation(len(evaluation))[: max(1, round(share * len(evaluation)))]
    copies = [
        replace(evaluation[place], id=f"c{place}", pair_id=None, text=_copied(evaluation[place].text, kind, generator))
        for place in chosen
    ]
    train = [*train[len(copies) :], *copies]
    if kind == "with the shared instruction":
        train, evaluation = _instructed(train), _instructed(evaluation)
    return history_of_prompts(train, evaluation)


def _drawn_sets(generator: np.random.Generator) -> tuple[list[Prompt], list[Prompt]]:
    train, evaluation = shipped(("refusal", "clarify", "concise")[generator.integers(3)])
    sizes = int(generator.choice([60, 120, 300])), int(generator.choice([40, 100, 200]))
    train, evaluation = (
        [part[place] for place in generator.permutation(len(part))[:size]]
        for part, size in zip((train, evaluation), sizes, strict=True)
    )
    return list(train), list(evaluation)


def _instructed(prompts: Sequence[Prompt]) -> list[Prompt]:
    return [replace(prompt, text=f"{INSTRUCTION}\n\n{prompt.text}") for prompt in prompts]


def _copied(text: str, kind: Copy, generator: np.random.Generator) -> str:
    words = text.split()
    if kind == "one word changed":
        words[generator.integers(len(words))] = "this"
    if kind == "in another order":
        half = len(words) // 2
        words = [*words[half:], *words[:half]]
    return " ".join(words)


def history_of_prompts(train: Sequence[Prompt], evaluation: Sequence[Prompt]) -> RunHistory:
    """A history of which only the prompts matter."""
    nothing = LabelMatrix((), (), (), {}, ())
    comparison = Comparison(
        before="a",
        after="b",
        primary="refusal.separation",
        changes=(),
        flips=(),
        expected_flip_rate=None,
        prompts=0,
        samples_per_prompt=0,
    )
    return RunHistory(
        experiment=run_experiment(Plan()),
        changed_keys=(),
        metrics=(),
        episodes=(),
        train=train,
        warm_start=(),
        evaluation=evaluation,
        before=nothing,
        after=nothing,
        comparison=comparison,
        measures={},
    )
