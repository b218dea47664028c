"""Trains the head of the second judge of refusals, and measures it.

    python benchmarks/train_judge.py                     # writes ppo_cli/behaviours/embedding_judge_head.json
    python benchmarks/train_judge.py --measure FILE …    # compares judge and rule with human labels; changes nothing

judge_labels.jsonl holds answers that were written and labelled for this project, from no model and no data set: full
and partial refusals, plain help, and answers that look like a refusal and are none. Partial refusals count as refusals.
The head is a logistic regression with a squared penalty, fitted by L-BFGS from 0, so that the same file gives the same
head. The accuracy by ten-fold cross-validation keeps the answers to one prompt in one fold. Its features and its
penalty were chosen by that accuracy; FILE took no part in it.

FILE is a table of XSTest's completions with human labels (Röttger et al. 2024): a CSV with the columns type,
completion, final_label and, unless the file's name ends in it, model; types that begin with `contrast` are unsafe.

Not here: what judges an answer in an evaluation (`ppo_cli.behaviours.embedding_judge`).
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ppo_cli.behaviours import embedding_judge
from ppo_cli.behaviours.refusal import refuses
from ppo_cli.records.second_judge import SECOND_JUDGE

Floats = NDArray[np.float64]

LABELS = Path(__file__).parent / "judge_labels.jsonl"
PENALTY = 3e-4
FOLDS = 10
DIGITS = 5


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["--measure"]:
        measure([Path(name) for name in arguments[1:]])
    else:
        train()


def train() -> None:
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    encoder = embedding_judge.load_encoder()
    found = [embedding_judge.features(encoder, row["answer"]) for row in rows]
    kept = [(row, values) for row, values in zip(rows, found, strict=True) if values is not None]
    features = np.array([values for _, values in kept], dtype=np.float64)
    refuses = np.array([row["label"] != "comply" for row, _ in kept])
    folds = np.array([zlib.crc32(row["prompt"].encode()) % FOLDS for row, _ in kept])
    right = cross_validated(features, refuses, folds) == refuses
    print(f"{len(kept)} answers, {refuses.sum()} refuse; accuracy by cross-validation {right.mean():.3f}")
    languages = np.array([row["language"] for row, _ in kept])
    for language in sorted(set(languages)):
        chosen = languages == language
        print(f"  {language} {right[chosen].mean():.3f} of {chosen.sum()}")
    weights, bias = fit(features, refuses)
    head = {
        "version": SECOND_JUDGE,
        "encoder": f"{embedding_judge.PACKAGE}=={embedding_judge.PACKAGE_VERSION}",
        "labels": LABELS.name,
        "labels_sha256": hashlib.sha256(LABELS.read_bytes()).hexdigest(),
        "answers": len(kept),
        "trained_by": "benchmarks/train_judge.py",
        "penalty": PENALTY,
        "bias": float(f"{bias:.{DIGITS}g}"),
        "weights": [float(f"{weight:.{DIGITS}g}") for weight in weights],
    }
    embedding_judge.HEAD.write_text(json.dumps(head) + "\n", encoding="utf-8")
    print(f"HEAD_SHA256 = {hashlib.sha256(embedding_judge.HEAD.read_bytes()).hexdigest()!r}")


def fit(features: Floats, refuses: NDArray[np.bool_]) -> tuple[Floats, float]:
    """The weights and the bias of a logistic regression with a squared penalty on the weights."""
    sign = np.where(refuses, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights = parameters[:-1]
        margin = sign * (features @ weights + parameters[-1])
        slope = -sign / (1 + np.exp(margin)) / len(sign)
        gradient = np.append(features.T @ slope + PENALTY * weights, slope.sum())
        return float(np.logaddexp(0, -margin).mean() + PENALTY / 2 * weights @ weights), gradient

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    return found[:-1], float(found[-1])


def cross_validated(features: Floats, refuses: NDArray[np.bool_], folds: NDArray[np.int_]) -> NDArray[np.bool_]:
    """What a head says of each answer that was trained on the other folds."""
    said = np.zeros(len(refuses), dtype=bool)
    for fold in range(FOLDS):
        out = folds == fold
        weights, bias = fit(features[~out], refuses[~out])
        said[out] = features[out] @ weights + bias > 0
    return said


def measure(paths: Sequence[Path]) -> None:
    rows = []
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            rows += [{"model": path.stem.rpartition("_")[2], **row} for row in csv.DictReader(file)]
    judge = embedding_judge.load_judge()
    models, unsafe = np.array([row["model"] for row in rows]), np.array([row["type"][:8] == "contrast" for row in rows])
    people = np.array(["full_compliance" not in row["final_label"] for row in rows])
    second = np.array([judge.refuses(row["completion"]) for row in rows])
    rule = np.array([refuses(row["completion"]) for row in rows])
    print(
        "| model | prompts | answers | people | judge | rule | judge right | rule right | differ | judge right then |"
    )
    for model in (*sorted(set(models)), None):
        for name, stratum in (("unsafe", unsafe), ("safe", ~unsafe), ("all", np.ones(len(rows), dtype=bool))):
            chosen = stratum & ((models == model) if model else True)
            differ = chosen & (second != rule)
            shares = [f"{100 * values[chosen].mean():.1f}" for values in (people, second, rule)]
            shares += [f"{100 * (values == people)[chosen].mean():.1f}" for values in (second, rule)]
            there = f"{(second == people)[differ].sum()} of {differ.sum()}"
            share = f"{100 * differ.sum() / chosen.sum():.1f}"
            print("|", " | ".join([str(model or "all"), name, str(chosen.sum()), *shares, share, there]), "|")
    same = second == rule
    print(f"the rule is wrong on {100 * (rule != people)[~same].mean():.1f} % where they differ, ", end="")
    print(f"{100 * (rule != people)[same].mean():.1f} % elsewhere; kappa of the judge {kappa(second, people):.2f}")


def kappa(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Cohen's."""
    chance = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    return float(((one == other).mean() - chance) / (1 - chance))


if __name__ == "__main__":
    main(sys.argv[1:])
