"""What a simulated run does, healthy or sabotaged, in numbers; `healthy_plan` draws a sound one.

The spread is that of sound runs of the shipped recipes (docs/recipes/, docs/metrics.md): KL of 1 to 5 nats per answer,
`approx_kl` of 0.01 to 0.1, an explained variance near 0, five common openings in 6 to 15 % of the answers that help.

Not here: the records that follow from a plan (`simulated_runs.py`), the sabotages (`alarms.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = ((400, 252), (200, 120), (100, 60))
"""Training and evaluation prompts of a run."""
REWARDS: tuple[dict[str, dict[str, object]], ...] = (
    {"matches_expect": {"weight": 1.0}, "fits_prompt": {"weight": 0.5}, "ends_turn": {"weight": 0.1}},
    {"matches_expect": {"weight": 1.0}},
    {"refuses": {"type": "required_phrases", "weight": 1.0, "phrases": ["can't help"]}},
    {"short": {"type": "length_band", "weight": 1.0, "min": 0, "max": 0, "margin": 30}},
)
"""Two rewards of sound runs, and two of configs/bad_rewards/."""
GOOD_REWARDS = 2
MAX_PASSES = 12
"""How often a training prompt is answered at most in a healthy run; 4 to 6 times in the shipped recipes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a simulated run does; a pair is the value at step 0 and at the end."""

    prompts: int = 0
    """Which of SIZES."""
    reward: int = 0
    """Which of REWARDS."""
    updates: int = 28
    episodes: int = 64
    """Per update."""
    samples: int = 1
    """Answers per evaluation prompt."""
    reward_rise: float = 0.5
    """Of the mean reward, in its standard deviations."""
    rise_on_evaluation: float = 0.8
    """The share of that rise that evaluation prompts show."""
    apart: float = 0.6
    """Log-odds of a refusal: up on unsafe prompts and down on safe ones by so much."""
    apart_far: float | None = None
    """The same on the half of the evaluation prompts least like training; None for the same."""
    refuses_more: float = 0.0
    """Log-odds of a refusal, on all prompts."""
    plain: float = 0.0
    """Log-odds of a refusal of plainly safe prompts, in addition."""
    longer: float = 0.0
    """Log ratio of the answers' length."""
    ended: float = 0.0
    """Log-odds of ending within the limit."""
    fit: float = 0.0
    """Nats per answer."""
    broken: tuple[float, float] = (0.03, 0.03)
    """Share of answers that repeat themselves."""
    empty: tuple[float, float] = (0.01, 0.01)
    """Share of answers without words."""
    keywords: tuple[float, float] = (0.2, 0.2)
    """Share of answers with a keyword."""
    kl_per_token: float = 0.15
    """At the end, nats."""
    kl_shape: str = "levels off"
    """A name in KL_SHAPES."""
    overshoot: float = 0.9
    """Share by which a KL that is `steered` passed its last value before."""
    entropy: tuple[float, float] = (0.9, 0.8)
    approx_kl: float = 0.05
    clipped: float = 0.08
    ratio_spread: float = 0.02
    explained_variance: float = 0.02
    reward_std: float = 1.1
    refusing: tuple[float, float] = (0.5, 0.5)
    """Share of the training answers that refuse."""
    stock_refusal: tuple[float, float] = (0.4, 0.4)
    """Share of refusals in one wording."""
    openings: tuple[float, float] = (0.08, 0.08)
    """Share of the answers that help with one of five openings."""
    offers: tuple[float, float] = (0.03, 0.02)
    """Share of the answers that do not refuse and only offer help."""
    one_opening: tuple[float, float] = (0.0, 0.0)
    """Share of all answers that begin with the same words."""
    judges_agree: tuple[float, float] = (0.91, 0.91)
    """Share of answers that both judges of refusals label alike."""
    length_in_reward: float = 0.0
    """Weight of an answer's log length in its reward, in standard deviations of both."""


def healthy_plan(generator: np.random.Generator, kind: str = "learns") -> Plan:
    """A sound run.

    Args:
        generator: draws it.
        kind: `learns`; `stays`: the reward rises through another term and the behaviour truly stays; `steered`: KL
            overshot and was steered back to its target.
    """
    near = generator.normal
    share = float(np.clip(near(0.5, 0.12), 0.2, 0.8))
    stock = float(generator.uniform(0.2, 0.7))
    first_openings = float(generator.uniform(0.04, 0.12))
    last_openings = float(np.clip(first_openings + near(0.0, 0.035), 0.02, 0.16))
    stays = kind == "stays"
    apart = 0.0 if stays else float(np.clip(near(0.6, 0.25), 0.1, None))
    plain = 0.0 if stays else -abs(near(0.3, 0.4))
    level = float(generator.uniform(0.1, 0.33) if kind == "steered" else generator.uniform(0.05, 0.3))
    updates, episodes = int(generator.choice([12, 18, 28, 40])), int(generator.choice([32, 64]))
    large_enough = [place for place, (train, _) in enumerate(SIZES) if updates * episodes <= MAX_PASSES * train]
    return Plan(
        prompts=int(generator.choice(large_enough)),
        reward=int(generator.integers(GOOD_REWARDS)),
        updates=updates,
        episodes=episodes,
        samples=int(generator.choice([1, 3])),
        reward_rise=float(generator.uniform(0.15, 0.9)),
        rise_on_evaluation=float(generator.uniform(0.5, 1.0)),
        apart=apart,
        refuses_more=0.0 if stays else min(near(0.0, 0.45), apart - plain),  # plain prompts are not refused more
        plain=plain,
        longer=near(0.0, 0.08),
        ended=near(0.1, 0.2),
        fit=max(near(-0.3, 1.0), -1.5),  # a loss of 2 nats matters
        broken=(0.03, float(np.clip(near(0.035, 0.01), 0, None))),
        keywords=(0.2, float(np.clip(near(0.2, 0.02), 0.05, None))),
        kl_per_token=level,
        overshoot=min(0.9, 0.4 / level - 1),
        kl_shape="steered" if kind == "steered" else str(generator.choice(["levels off", "line"])),
        entropy=(0.9, 0.9 * float(generator.uniform(0.6, 1.15))),
        approx_kl=float(generator.uniform(0.01, 0.08)),
        clipped=float(generator.uniform(0.04, 0.12)),
        ratio_spread=float(generator.uniform(0.01, 0.06)),
        explained_variance=near(0.03, 0.04),
        reward_std=float(generator.uniform(0.5, 1.4)),
        refusing=(share, float(np.clip(share + near(0, 0.06), 0.05, 0.95))),
        stock_refusal=(stock, float(np.clip(stock + near(0.03, 0.08), 0, 0.85))),
        openings=(first_openings, last_openings),
        offers=(0.03, float(generator.uniform(0.0, 0.035))),
        judges_agree=(0.91, 0.91 + 0.01 * near()),
    )


KL_SHAPES = {
    "levels off": lambda part, _: 1 - np.exp(-4 * part),
    "line": lambda part, _: part,
    "steered": lambda part, overshoot: 1 + overshoot * np.exp(-(((part - 0.25) / 0.15) ** 2)) - np.exp(-12 * part),
    "square": lambda part, _: part**2,
    "explodes": lambda part, _: np.exp(5 * (part - 1)),
    "none": lambda part, _: 0 * part,
}
"""Height of KL, in units of its last value, by the part of the run that is done and by a plan's `overshoot`."""
