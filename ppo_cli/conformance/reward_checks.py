"""Checks of what is learnt: the KL penalty, the frozen reference, the end of an answer, a score that is no number.

Not here: advantages and the steps (`update_checks`), what must change nothing (`repeat_checks`).
"""

from __future__ import annotations

import torch

from ppo_cli.conformance.adapter import Settings
from ppo_cli.conformance.check import NotCheckedError, check
from ppo_cli.conformance.tiny_models import EOS, PROMPTS
from ppo_cli.conformance.trainings import (
    Episode,
    Trainings,
    brevity,
    exact_kl,
    log_ratios,
    next_token_logprobs,
    not_a_number,
)

SEVERAL_STEPS = {"epochs": 2, "minibatches": 2}
ZIEGLER = "Ziegler et al. 2019 (arXiv:1909.08593)"


@check(
    "kl_coef holds the policy near the start model",
    quantity="KL after 10 updates with kl_coef 1 over that with kl_coef 0",
    source=f"{ZIEGLER}, equation 2",
    at_most=0.5,
)
def kl_coef_acts(trainings: Trainings) -> float:
    """Trains twice with one reward, without a penalty and with kl_coef 1, and compares how far the policies moved.

    The KL to the start model is recomputed from the weights, over the whole vocabulary, on the answers of the start
    model. A coefficient that a later normalisation divides out, or that never reaches the loss, gives a ratio near 1.
    Tolerance: this project's trainer and TRL 1.12's measure 0.01 and 0.13, a trainer without a penalty 1.
    """
    free, held = (trainings.run(Settings(**SEVERAL_STEPS, kl_coef=coef), 10) for coef in (0.0, 1.0))
    episodes = free.episodes[0]
    moved = exact_kl(episodes, free.weights[-1], trainings.start)
    if moved < 1e-3:
        raise NotCheckedError(f"without a penalty the policy moved by {moved:.1g} nats per token only")
    return exact_kl(episodes, held.weights[-1], trainings.start) / moved


@check(
    "the reference is the start model and stays frozen",
    quantity="largest difference of the reported KL from the KL to the start model, as a share of the latter",
    source=f"{ZIEGLER}, equation 2: the penalty is towards the model before training",
    at_most=0.01,
    needs="kl",
)
def reference_frozen(trainings: Trainings) -> float:
    """Compares the KL that each update reports with the KL to the model in the task's folder.

    That is recomputed from the policy's weights before the update, answer by answer and without padding. A reference
    that shares weights with the policy reports 0; one that is copied from it now and then reports too little.
    Tolerance: float32 differs by less than 1e-4 of the KL between two orders of summation.
    """
    trained = trainings.run(Settings(**SEVERAL_STEPS), 4)
    differences, sizes = [], []
    for record, episodes, before in zip(trained.records, trained.episodes, trained.weights, strict=False):
        expected = float(torch.stack([row.sum() for row in log_ratios(episodes, before, trainings.start)]).mean())
        if record.kl is None:
            raise ValueError("the adapter declares the ability kl, and a record has none")
        differences.append(abs(record.kl - expected))
        sizes.append(abs(expected))
    if max(sizes) < 0.05:
        raise NotCheckedError(f"in four updates the KL reached {max(sizes):.1g} nats per answer only")
    return max(differences) / max(sizes)


def probability_of_ending(trainings: Trainings, variant: str) -> float:
    """Mean probability of EOS as an answer's first token, after 30 updates that reward short answers."""
    settings = Settings(**SEVERAL_STEPS, learning_rate=3e-3)
    trained = trainings.run(settings, 30, reward=brevity, variant=variant)
    first = [Episode(prompt, (EOS,), 0.0) for prompt in PROMPTS]
    rows = next_token_logprobs(first, trained.weights[-1])
    return float(torch.stack([row[0, EOS].exp() for row in rows]).mean())


@check(
    "the token that ends an answer gets its credit",
    quantity="probability of ending at once after 30 updates that reward short answers",
    source=f"{ZIEGLER}, equation 2: the score belongs to the whole answer, its end included",
    at_least=0.8,
)
def eos_gets_credit(trainings: Trainings) -> float:
    """Rewards short answers; the policy has to learn to end at once.

    A trainer whose mask of answer tokens leaves EOS out, in the whitening and the loss, does not learn it; nor one
    that puts the score where no token is. An EOS token left out of the loss alone may be learnt through the others;
    `gae_over_tokens` shows that. Tolerance: this project's trainer and TRL 1.12's measure 0.87 and 1.00, such a mask
    less than 0.02.
    """
    return probability_of_ending(trainings, "plain")


@check(
    "the same where the tokenizer pads with EOS",
    quantity="probability of ending at once after 30 updates that reward short answers",
    source="Huang et al. 2024 (arXiv:2403.17031), on padding and EOS tokens",
    at_least=0.8,
)
def eos_gets_credit_where_it_pads(trainings: Trainings) -> float:
    """The check before, on a tokenizer whose padding token is EOS, as with many instruct models.

    A mask made of `ids != pad` then hides the end of every answer from the loss. Tolerance: as before.
    """
    return probability_of_ending(trainings, "pad is EOS")


@check(
    "a score that is not a number never reaches the weights",
    quantity="share of the policy's weights that are not finite afterwards",
    source="no paper: one such weight ends a run",
    at_most=0.0,
)
def bad_score_is_refused(trainings: Trainings) -> float:
    """Gives one answer of the first update NaN as its score.

    The trainer may raise an error or leave that answer out; its weights have to stay finite. Tolerance: none.
    """
    weights = trainings.weights_after(Settings(), 1, not_a_number).values()
    broken = sum(int((~torch.isfinite(tensor)).sum()) for tensor in weights)
    return broken / sum(int(tensor.numel()) for tensor in weights)
