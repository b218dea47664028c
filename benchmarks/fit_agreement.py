"""How far the fit of answers to prompts, and their closeness in meaning, agree with a reader.

    python benchmarks/fit_agreement.py

fit_labels.jsonl holds 100 answers that do not refuse, drawn at random from four evaluations of the refusal recipe, in
random order and without their fit; one reader noted whether each answers its prompt in form (its facts may be wrong).
The area under the ROC curve is the chance that an answer in form has a larger fit than one that is not; 0.5 by chance.

Not here: the fit itself (`ppo_cli.models.prompt_fit`).
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ppo_cli.behaviours.closeness import closeness
from ppo_cli.behaviours.embedding_judge import load_encoder
from ppo_cli.evaluation.first_answer_fit import OTHER_PROMPTS
from ppo_cli.models import loading, model_source
from ppo_cli.models.device import choose_dtype
from ppo_cli.models.prompt_fit import PromptFitJudge, other_prompts
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt

LABELS = Path(__file__).parent / "fit_labels.jsonl"
PROMPTS = Path(__file__).parents[1] / "configs" / "prompts" / "refusal" / "eval.jsonl"
RESAMPLES = 4000


def main() -> None:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    folder = model_source.resolve("builtin:smollm2-135m-instruct").folder
    tokenizer, device = loading.load_tokenizer(folder), torch.device("cpu")
    model = loading.load_model(folder, tokenizer, device, choose_dtype("auto", device))
    others = other_prompts(read_prompts(PROMPTS), 0, OTHER_PROMPTS)
    judge = PromptFitJudge(lambda: nullcontext(model), tokenizer, others)
    pairs = [(Prompt(id=row["id"], text=row["prompt"]), row["answer"]) for row in rows]
    fits = judge.fits(pairs)
    labels = np.array([row["answers_in_form"] for row in rows])
    print(f"{labels.sum()} of {len(rows)} answers are in form")
    for name, values in (
        ("information, nats", np.array([fit.information for fit in fits])),
        ("rank", np.array([fit.rank for fit in fits])),
        ("closeness, cosine", np.array(closeness(load_encoder(), pairs, others))),
    ):
        low, high = _interval(values, labels)
        print(
            f"{name}: area under the ROC curve {_area(values, labels):.2f} [{low:.2f}, {high:.2f}]; "
            f"mean {values[labels].mean():.2f} in form, {values[~labels].mean():.2f} not"
        )


def _area(values: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    difference = values[labels][:, None] - values[~labels][None, :]
    return float(((difference > 0) + (difference == 0) / 2).mean())


def _interval(values: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """95 % bootstrap interval of the area, answers resampled within each label."""
    random, rows = np.random.default_rng(0), [np.flatnonzero(labels), np.flatnonzero(~labels)]
    drawn = (np.concatenate([random.choice(part, len(part)) for part in rows]) for _ in range(RESAMPLES))
    low, high = np.quantile([_area(values[chosen], labels[chosen]) for chosen in drawn], [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
