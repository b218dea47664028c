"""Real runs, healthy and sabotaged, of a tiny model whose tokens are sentences, or of the built-in model.

The tiny model refuses or helps in whole sentences, and PPO changes how often within seconds (tests/sentence_models.py).
With the built-in model a run is the refusal recipe with few updates: minutes each on two CPU cores.

Not here: simulated runs (`simulated_runs.py`, `sabotages.py`), the table (`alarms.py`).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import ppo_cli
from ppo_cli.experiment.load import load_experiment
from ppo_cli.records.events import AlarmsChecked, Event
from tests.sentence_models import (
    COMMON_END,
    RARE_END,
    made_prompts,
    made_words,
    save_sentence_model,
    write_sentence_config,
)
from tests.tiny_models import write_rows

ROOT = Path(__file__).parents[1]
SHARP, ROUND = made_words("zxqvkj", 1), made_words("aeoulm", 2)
KINDS = [("unsafe.x", SHARP), ("plain.x", ROUND)]
"""Prompts whose letters show what is expected."""
TEA = "Take a cup of warm tea."
"""One of the four sentences with which the tiny model helps."""
AS_EXPECTED: Mapping[str, dict[str, Any]] = {"matches_expect": {"weight": 1.0}}
ONE_OPENING: Mapping[str, dict[str, Any]] = {"tea": {"type": "required_phrases", "weight": 1.0, "phrases": [TEA]}}
LENGTH: Mapping[str, dict[str, Any]] = {
    "long": {"type": "length_band", "weight": 1.0, "min": 60, "max": 80, "margin": 60}
}
Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of real run."""

    alarm: str | None
    """That is meant to see it; None for a healthy run."""
    terms: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: AS_EXPECTED)
    copies: float = 0.0
    """Share of the evaluation prompts that are training prompts too."""
    prompts: int | None = None
    """Training prompts, where there are fewer than usual."""
    overrides: tuple[str, ...] = ()
    """As typed on the command line; each names a config key that the run changed."""
    end: float = RARE_END
    tokens: int = 1
    """Limit of an answer of the tiny model."""
    ppo: Mapping[str, float] = field(default_factory=dict)


CASES: Mapping[str, Case] = {
    "healthy": Case(alarm=None),
    "evaluation prompts copied into training": Case(alarm="eval_contamination", copies=0.2),
    "learning rate 0": Case(alarm="no_learning", ppo={"learning_rate": 1e-12}),
    "kl.coef 0, learning rate ten times as high": Case(
        alarm="policy_drift", overrides=("kl.coef=0",), ppo={"learning_rate": 5e-2}
    ),
    "steps too large": Case(alarm="unstable_updates", ppo={"learning_rate": 5e-2, "epochs": 8}),
    "reward for one opening": Case(alarm="reward_hacking", terms=ONE_OPENING, ppo={"learning_rate": 2e-2}),
    "reward for length": Case(
        alarm="reward_hacking", terms=LENGTH, end=COMMON_END, tokens=3, ppo={"learning_rate": 1e-2}
    ),
    "eight training prompts": Case(alarm="narrow_data", prompts=8, ppo={"answers_per_prompt": 4}),
    "reward and prompts changed in round 1": Case(
        alarm="too_many_changes", overrides=("reward.terms.matches_expect.weight=0.9", "prompts.train=train.jsonl")
    ),
}
"""A learning rate cannot be 0 in a config; 1e-12 changes no weight."""


def train_all(model: str, seeds: int, updates: int, cases: Sequence[str], to: Path) -> None:
    """Trains every case with every seed and writes what was raised.

    Args:
        model: `tiny` or `builtin`.
        seeds: runs per case.
        updates: per run.
        cases: names in CASES; none stands for all.
        to: folder of the result.
    """
    found = {}
    for name in cases or CASES:
        runs = [raised_in_run(model, CASES[name], seed, updates) for seed in range(1, seeds + 1)]
        found[name] = {"alarm": CASES[name].alarm, "raised": runs}
        print(name, runs, flush=True)
    result = {"model": model, "updates": updates, "cases": found}
    (to / f"trained-{model}.json").write_text(json.dumps(result) + "\n")


def raised_in_run(model: str, case: Case, seed: int, updates: int) -> list[str]:
    """Trains one run and gives the alarms that any of its evaluations raised."""
    raised: set[str] = set()

    def collect(event: Event) -> None:
        if isinstance(event, AlarmsChecked):
            raised.update(alarm.name for alarm in event.alarms)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = (tiny_config if model == "tiny" else builtin_config)(folder, case, seed, updates)
        overrides = [override.replace("train.jsonl", str(folder / "train.jsonl")) for override in case.overrides]
        loaded = load_experiment(config, overrides)
        ppo_cli.train(loaded, runs_dir=folder / "runs", force=True, on_event=collect)
    return sorted(raised)


def tiny_config(folder: Path, case: Case, seed: int, updates: int) -> Path:
    """Writes the model, the prompts and the config of a tiny run."""
    model = save_sentence_model(folder / "model", case.end)
    evaluation = made_prompts("e", KINDS, 30, 100 + seed)
    train = with_sabotage(made_prompts("t", KINDS, 40, seed), evaluation, case)
    settings = {"terms": case.terms, "primary": "refusal.separation", "tokens": case.tokens}
    ppo = {"learning_rate": 5e-3, **case.ppo, "updates": updates}
    config: Path = write_sentence_config(folder, model, (train, evaluation), **settings, **ppo)
    text = config.read_text(encoding="utf-8").replace("every: 0", f"every: {max(1, updates // 3)}")
    config.write_text(f"{text}seed: {seed}\n", encoding="utf-8")
    return config


def builtin_config(folder: Path, case: Case, seed: int, updates: int) -> Path:
    """Writes the prompts and the config of a short run of the refusal recipe."""
    shipped = ROOT / "configs/prompts/refusal"
    train, evaluation = (
        [json.loads(line) for line in (shipped / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]
        for part in ("train", "eval")
    )
    write_rows(folder / "train.jsonl", with_sabotage(train, evaluation[:80], case))
    write_rows(folder / "eval.jsonl", evaluation[:80])
    overrides = [
        f"prompts.train={folder / 'train.jsonl'}",
        f"prompts.eval={folder / 'eval.jsonl'}",
        f"ppo.updates={updates}",
        "ppo.episodes_per_update=32",
        "evaluation.every=0",
        f"seed={seed}",
        *(f"ppo.{key}={4e-1 * value if key == 'learning_rate' else value}" for key, value in case.ppo.items()),
    ]
    experiment = load_experiment(ROOT / "configs/refusal.yaml", overrides).experiment
    settings = experiment.model_dump(mode="json")
    if case.terms is not AS_EXPECTED:
        settings["reward"]["terms"] = {key: dict(term) for key, term in case.terms.items()}
    config = folder / "refusal.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return config


def with_sabotage(train: Rows, evaluation: Rows, case: Case) -> Rows:
    """The training prompts with what a case does to them."""
    copied = evaluation[: round(case.copies * len(evaluation))]
    kept = train[:: max(1, len(train) // case.prompts)][: case.prompts] if case.prompts else train
    return [*kept, *({**row, "id": f"copy-{row['id']}"} for row in copied)]
