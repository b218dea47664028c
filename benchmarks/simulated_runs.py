"""Simulated records of runs, healthy or sabotaged, for `alarms.py`: metrics rows, episodes, and evaluations.

No model is trained. A `Plan` says what a run does. The answers of an evaluation are draws: each prompt has its own
probability of being refused and its own usual length. The same functions as in `ppo train` compare and judge them.

Not here: what a sound run does (`simulated_plan.py`), which sabotages there are and how often they raise an alarm
(`alarms.py`), real runs (`sabotaged_runs.py`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from simulated_plan import KL_SHAPES, REWARDS, SIZES, Plan

from ppo_cli.alarms import narrow_data
from ppo_cli.alarms.run_history import RunHistory
from ppo_cli.behaviours import empty_offer, refusal
from ppo_cli.behaviours.measures import MEASURES, measure_named
from ppo_cli.experiment.schema import Experiment, Kl, Model, Ppo, Prompts, Reward
from ppo_cli.prompts.leakage import comparable_texts
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.second_judge import SECOND_LABEL
from ppo_cli.records.training import Episode
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded
from ppo_cli.stats.comparison import compare
from ppo_cli.stats.label_matrix import Floats, LabelMatrix, common_matrices
from ppo_cli.text.similarity import nearest_texts

SHIPPED = Path(__file__).parents[1] / "configs/prompts"
INTERIM_PROMPTS = 80
PROMPT_SPREAD, LENGTH_SPREAD = 1.5, 0.4
FIT_SPREAD = 6.5
"""Standard deviations: of log-odds of a refusal over prompts, of the log length and the fit (nats) of answers."""
LARGE_STEPS = 0.02
"""Share of updates of any run whose `approx_kl` is many times the usual."""
COMPARED = (
    "refusal.separation refusal.unsafe refusal.safe refusal.plain length.tokens ending.eos length.empty "
    "repetition.share topic.keywords fits_prompt.information entropy.per_token repetition.runaway language.switch "
    "reward.absolute"
).split()
"""The measures that an alarm reads; those left out are like others, and slow."""
SAID = (
    "often a matter of taste.",
    "in the end made from water.",
    "for most people older than the soil.",
    "about small steps.",
)
REFUSALS = tuple(
    f"{start} {end}"
    for start in ("I'm sorry, but I can't", "I'm sorry, but I cannot", "I can't", "I won't", "Sorry, I'm unable to")
    for end in ("help with that.", "assist with that request.", "do this.", "provide that.")
)
OFFERS = ("I'd be happy to help with that.", "Sure, I can help.", "I'd be happy to help you with this!", "Of course!")
COMMON = ("The best way", "It is important", "There are several", "You can use", "One of the")
FIRST_WORDS = tuple(
    f"{first} {second} {third}"
    for first, second, third in itertools.product(
        "the some when most a many in old two as".split(),
        "garden answer reason colour river story number people kind day".split(),
        "is was can that of".split(),
    )
)


def histories(plan: Plan, generator: np.random.Generator, **settings: Any) -> Iterator[RunHistory]:
    """The records of a run at each of its evaluations: at its end, after a third of it, and after two thirds.

    Args:
        plan: what the run does.
        generator: draws it.
        settings: fields of the histories in place of the usual, as `train`, `changed_keys` and `experiment`.
    """
    train, evaluation, like_training = prompt_sets(plan.prompts)
    metrics, episodes = metrics_rows(plan, generator), training_episodes(plan, train, generator)
    prompts = EvaluationPrompts.drawn(evaluation, like_training, generator)
    before = prompts.labels(plan, 0.0, generator)
    experiment = run_experiment(plan)
    for done in (plan.updates, plan.updates // 3, 2 * plan.updates // 3):
        after = prompts.labels(plan, done / plan.updates, generator)
        if done < plan.updates:
            interim = [prompt.id for prompt in evaluation[: min(INTERIM_PROMPTS, len(evaluation) * 2 // 3)]]
            after = after.only(interim)
        ((first, now),) = zip(*common_matrices([before], [after]), strict=True)
        given = {
            "experiment": experiment,
            "changed_keys": ("kl.coef",),
            "metrics": metrics[:done],
            "episodes": episodes[: done * plan.episodes],
            "train": train,
            "warm_start": (),
            "evaluation": evaluation,
            "before": first,
            "after": now,
            "comparison": compared(before, after, evaluation, plan),
            "measures": BY_NAME,
        }
        yield RunHistory(**{**given, **settings})


BY_NAME = {measure.name: measure for measure in MEASURES}


def run_experiment(plan: Plan, **values: Any) -> Experiment:
    """The config of a simulated run."""
    given = {
        "name": "simulated",
        "goal": "When a request would hurt someone, refuse it; else help.",
        "model": Model(start="x"),
        "prompts": Prompts(train="t", eval="e"),
        "reward": Reward(terms=REWARDS[plan.reward]),
        "kl": Kl(coef=0.06, stop_at=None),
        "ppo": Ppo(updates=plan.updates, episodes_per_update=plan.episodes),
    }
    return Experiment(**{**given, **values})


def compared(before: LabelMatrix, after: LabelMatrix, evaluation: Sequence[Prompt], plan: Plan) -> Any:
    """The comparison with step 0, as `ppo train` makes it."""
    measures = [measure_named(name) for name in COMPARED]
    by_id = {prompt.id: prompt for prompt in evaluation}
    names = ("step 0", "now")
    comparison = compare(names, before, after, measures, by_id, primary="refusal.separation", smallest_effect=0.3)
    return replace(comparison, rewarded_measures=rewarded_measures(plan.reward))


@functools.cache
def rewarded_measures(reward: int) -> tuple[str, ...]:
    """The measures that a reward scores."""
    return measures_also_rewarded(run_experiment(Plan(reward=reward)))


def metrics_rows(plan: Plan, generator: np.random.Generator) -> list[dict[str, Any]]:
    """A row per update; KL is an estimate from few answers and as noisy as in real runs."""
    part = np.arange(1, plan.updates + 1) / plan.updates
    height = plan.kl_per_token * KL_SHAPES[plan.kl_shape](part, plan.overshoot)
    noise = 0.004 * min(1.0, plan.kl_per_token / 0.05)
    kl = height * (1 + 0.2 * generator.normal(size=plan.updates)) + noise * generator.normal(size=plan.updates)
    kl[0] = 0.0
    start, end = plan.entropy
    entropy = (start + (end - start) * part) * (1 + 0.08 * generator.normal(size=plan.updates))
    skew = np.exp(0.6 * generator.normal(size=(3, plan.updates)))
    skew[0] *= np.where(generator.random(plan.updates) < LARGE_STEPS, 8.0, 1.0)
    signs = generator.choice([1.0, -0.3], size=plan.updates)
    return [
        {
            "update": place + 1,
            "reward_std": plan.reward_std,
            "kl": 14 * kl[place],
            "kl_per_token": kl[place],
            "kl_coef": 0.06,
            "entropy": entropy[place],
            "approx_kl": plan.approx_kl * skew[0, place],
            "clip_fraction": min(1.0, plan.clipped * skew[1, place] ** 0.5),
            "ratio": 1 + plan.ratio_spread * skew[2, place] * signs[place],
            "explained_variance": plan.explained_variance + 0.04 * generator.normal(),
            "terms": {"matches_expect": 0.2},
        }
        for place in range(plan.updates)
    ]


def training_episodes(plan: Plan, train: Sequence[Prompt], generator: np.random.Generator) -> list[Episode]:
    """The training answers; each prompt comes as often as any other."""
    count = plan.updates * plan.episodes
    part = np.repeat(np.arange(1, plan.updates + 1) / plan.updates, plan.episodes)
    order = np.concatenate([generator.permutation(len(train)) for _ in range(count // len(train) + 1)])[:count]
    size = generator.normal(size=count)
    tokens = np.clip(np.rint(np.exp(2.6 + plan.longer * part + LENGTH_SPREAD * size)), 2, 60).astype(int)
    own = generator.normal(size=count) if plan.length_in_reward == 0 else 0.5 * generator.normal(size=count)
    reward = plan.reward_std * (plan.reward_rise * (part - part[0]) + own + plan.length_in_reward * size)
    texts = answer_texts(plan, part, generator)
    return [
        Episode(
            update=place // plan.episodes + 1,
            episode=place + 1,
            prompt_id=train[order[place]].id,
            prompt="",
            answer=Answer(text=texts[place], token_count=int(tokens[place]), finish="eos"),
            baseline_answer=None,
            reward=float(reward[place]),
            terms={},
            baseline_terms={},
            kl=0.0,
        )
        for place in range(count)
    ]


def answer_texts(plan: Plan, part: Floats, generator: np.random.Generator) -> list[str]:
    """What the training answers say: refusals, offers of help, common and rare openings."""
    ends = (plan.one_opening, plan.refusing, plan.stock_refusal, plan.offers, plan.openings)
    limits = [first + (last - first) * part for first, last in ends]
    says, refuses, in_stock, offers, commonly = (generator.random(len(part)) < limit for limit in limits)
    pick = generator.integers(0, 1 << 30, size=(3, len(part)))
    texts = []
    for place in range(len(part)):
        said = SAID[pick[1, place] % len(SAID)]
        if says[place]:
            texts.append(f"As I always say, {said}")
        elif refuses[place]:
            texts.append(REFUSALS[0 if in_stock[place] else pick[0, place] % len(REFUSALS)])
        elif offers[place]:
            texts.append(OFFERS[pick[0, place] % len(OFFERS)])
        else:
            kinds = COMMON if commonly[place] else FIRST_WORDS
            texts.append(f"{kinds[pick[2, place] % len(kinds)]} {said}")
    return texts


@dataclass(frozen=True)
class EvaluationPrompts:
    """The evaluation prompts with what is their own."""

    prompts: Sequence[Prompt]
    far: Floats
    """1 for the half that is least like the training prompts, else 0 [prompts]."""
    refusing: Floats
    """Log-odds of being refused at step 0 [prompts]."""
    length: Floats
    """Log length of the answers [prompts]."""

    @classmethod
    def drawn(
        cls, prompts: Sequence[Prompt], like_training: Floats, generator: np.random.Generator
    ) -> EvaluationPrompts:
        """The same prompts with new draws of what is their own."""
        unsafe = np.array([prompt.expect == "refuse" for prompt in prompts])
        plain = np.array([prompt.category.startswith("plain") for prompt in prompts])
        base = np.where(unsafe, 2.0, np.where(plain, -0.4, 0.6)) + PROMPT_SPREAD * generator.normal(size=len(prompts))
        far = (like_training < np.median(like_training)).astype(float)
        return cls(prompts, far, base, 2.6 + 0.4 * generator.normal(size=len(prompts)))

    def labels(self, plan: Plan, part: float, generator: np.random.Generator) -> LabelMatrix:
        """The labels of the answers when this part of the run is done."""
        shape = (len(self.prompts), plan.samples)
        moved = (1 - np.exp(-3 * part)) / (1 - np.exp(-3))
        unsafe = np.array([prompt.expect == "refuse" for prompt in self.prompts])
        plain = np.array([prompt.category.startswith("plain") for prompt in self.prompts])
        far = plan.apart if plan.apart_far is None else plan.apart_far
        apart = np.where(self.far > 0, far, plan.apart)
        odds = self.refusing + moved * (np.where(unsafe, apart, -apart) + plan.refuses_more + plan.plain * plain)
        refused = generator.random(shape) < expit(odds)[:, None]
        helping = ~refused & ~unsafe[:, None] & (np.arange(plan.samples) == 0)
        size = self.length[:, None] + plan.longer * moved + LENGTH_SPREAD * generator.normal(size=shape)
        right = np.where(unsafe[:, None], refused, ~refused).astype(float)

        def share(ends: tuple[float, float]) -> Floats:
            drawn: Floats = (generator.random(shape) < ends[0] + (ends[1] - ends[0]) * moved).astype(float)
            return drawn

        broken, agree = share(plan.broken), share(plan.judges_agree)
        labels = {
            "refused": refused.astype(float),
            SECOND_LABEL: np.where(agree > 0, refused, ~refused).astype(float),
            "tokens": np.clip(np.rint(np.exp(size)), 1, 60),
            "ended": (generator.random(shape) < expit(2.5 + plan.ended * moved)).astype(float),
            "empty": share(plan.empty),
            "repetition": broken * generator.uniform(0.3, 1.0, size=shape),
            "runaway": broken * (generator.random(shape) < 0.5),
            "switch": share((0.01, 0.01)),
            "keywords": share(plan.keywords),
            "fit": np.where(helping, 14.5 + plan.fit * moved + FIT_SPREAD * generator.normal(size=shape), np.nan),
            "fit_answers": np.where(helping, 1.0, np.nan),
            "entropy": (plan.entropy[0] + (plan.entropy[1] - plan.entropy[0]) * moved)
            * np.exp(0.3 * generator.normal(size=shape)),
            "reward": right + plan.reward_std * plan.reward_rise * plan.rise_on_evaluation * part,
        }
        texts = tuple((f"at {part:.3f}",) * plan.samples for _ in self.prompts)
        ids, categories, expects = zip(*((one.id, one.category, one.expect) for one in self.prompts), strict=True)
        return LabelMatrix(ids, categories, expects, labels, texts)


@functools.cache
def prompt_sets(number: int) -> tuple[Sequence[Prompt], Sequence[Prompt], Floats]:
    """Training and evaluation prompts of the refusal recipe, and how similar each of the latter is to the former."""
    learnt, asked = SIZES[number]
    train = read_prompts(SHIPPED / "refusal/train.jsonl")[:learnt]
    spread = read_prompts(SHIPPED / "refusal/eval.jsonl")
    order = np.random.default_rng(number).permutation(len(spread))[:asked]
    evaluation = sorted((spread[place] for place in order), key=lambda prompt: prompt.id)
    texts = comparable_texts([*evaluation, *train])
    cosine, _ = nearest_texts(tuple(texts[:asked]), tuple(texts[asked:]))
    return train, evaluation, cosine


def judge_texts_once() -> None:
    """Caches what is made from texts: the simulated answers and prompts repeat, and no result changes."""
    refusal.classify = functools.cache(refusal.classify)
    empty_offer.only_offers = functools.cache(empty_offer.only_offers)
    without_repeats = functools.lru_cache(maxsize=16)(comparable_texts)
    narrow_data.comparable_texts = lambda prompts: without_repeats(tuple(prompts))
