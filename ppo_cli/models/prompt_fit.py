"""How well answers fit their own prompts: how much likelier a model finds each after its own prompt than after others.

An answer that would do for any prompt, such as "This could be a classic example", has a fit near 0, whatever words it
uses; so has an answer to another prompt. It is the pointwise mutual information of prompt and answer, with other
prompts in place of a prior, after Li et al. 2016, "A diversity-promoting objective function for neural conversation
models".

Not counted: tokens that only repeat the prompt. An answer that the model finds very unlikely even after its own prompt
is gibberish, which fits nothing.

Not here: which model judges (the start model before any warm start: `setup`), the measure (`behaviours.measures`), the
reward term (`rewards.fits_prompt`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ppo_cli.models.answer_logprobs import answer_logprobs
from ppo_cli.models.control_tokens import encode_answer
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.models.open_model import OpenModel
from ppo_cli.models.sampling import keyed_uniforms
from ppo_cli.records.answers import Prompt

MAX_TOKENS = 32
"""Tokens of an answer that are read: later ones say less about the prompt and more about the answer so far."""
MAX_NATS_PER_TOKEN = 3.0
"""Largest difference that counts per token, so that one rare word does not decide: e^3 is a factor of 20."""
MIN_COPIED_TOKENS = 4
"""A run of as many tokens that the prompt has too is copied from it, and says nothing about an answer."""
MIN_OWN_TOKENS = 3
"""An answer with fewer tokens that are not copied is an echo."""
MIN_MEAN_LOGPROB = -6.0
"""Nats per token after the own prompt, below which an answer is gibberish. The built-in model's own answers have -0.9,
stock phrases -2 to -4, the same words in random order -7.3."""


@dataclass(frozen=True)
class PromptFit:
    """How well one answer fits its prompt; both 0 for an echo or gibberish."""

    information: float
    """Sum over tokens of log p(token | own prompt) - mean of log p(token | other prompt), nats; 0 by chance."""
    rank: float
    """Share of the other prompts after which the whole answer is less likely, a tie counting half; 0.5 by chance."""


NO_FIT = PromptFit(0.0, 0.0)
"""Of an echo, of gibberish, and of an answer without tokens."""


@dataclass(frozen=True)
class PromptFitJudge:
    """A frozen model with the prompts that every answer's own prompt is compared with."""

    open_model: OpenModel
    """Gives the model for the length of a `with` block."""
    tokenizer: ChatTokenizer
    others: Sequence[Prompt]
    """One more than an answer is compared with; its own prompt is left out."""
    token_ids: Mapping[Prompt, Sequence[int]] = field(default_factory=dict)
    """Of prompts that are tokenized already; others are tokenized when they are judged."""

    @torch.inference_mode()
    def fits(
        self,
        pairs: Sequence[tuple[Prompt, str]],
        progress: Callable[[int], None] = lambda _done: None,
    ) -> list[PromptFit]:
        """The fit of each answer.

        Args:
            pairs: (prompt, text of an answer).
            progress: called with the number of answers that are done, as far as that can be said.
        """
        prompts = list(dict.fromkeys([*self.others, *(prompt for prompt, _ in pairs)]))
        index = {prompt: number for number, prompt in enumerate(prompts)}
        prompt_ids = [self.token_ids.get(prompt) or self.tokenizer.render(prompt.chat) for prompt in prompts]
        answers = [encode_answer(self.tokenizer.tokenizer, text)[:MAX_TOKENS] for _, text in pairs]
        asked = [
            (number, other)
            for number, (prompt, _) in enumerate(pairs)
            for other in (prompt, *self._others_of(prompt))
            if answers[number]
        ]
        if not asked:
            return [NO_FIT] * len(pairs)
        with self.open_model() as model:
            logprobs = answer_logprobs(
                model,
                prompt_ids,
                [(index[other], answers[number]) for number, other in asked],
                self.tokenizer.pad_id,
                lambda done: progress(done * len(pairs) // max(1, len(asked))),
            )
        rows: list[list[torch.Tensor]] = [[] for _ in pairs]
        for (number, _), row in zip(asked, logprobs, strict=True):
            rows[number].append(row)
        return [
            _fit(torch.stack(of_answer), _is_copied(answers[number], prompt_ids[index[pairs[number][0]]]))
            if of_answer
            else NO_FIT
            for number, of_answer in enumerate(rows)
        ]

    def _others_of(self, prompt: Prompt) -> list[Prompt]:
        return [other for other in self.others if other != prompt][: len(self.others) - 1]


def other_prompts(prompts: Sequence[Prompt], seed: int, count: int) -> list[Prompt]:
    """The prompts that an answer's own prompt is compared with: `count` and one to spare, drawn from those to answer.

    Args:
        prompts: of the set; those that should be refused are not drawn, unless all are.
        seed: of the draw.
        count: how many.
    """
    answered = [prompt for prompt in prompts if prompt.expect != "refuse"] or list(prompts)
    order = np.argsort(keyed_uniforms(seed, "prompt fit", count=len(answered)), kind="stable")
    return [answered[position] for position in order[: count + 1]]


def _fit(logprobs: torch.Tensor, copied: torch.Tensor) -> PromptFit:
    """The fit from log-probabilities [1 + others, tokens], those after the own prompt first."""
    own, others = logprobs[0].double()[~copied], logprobs[1:].double()[:, ~copied]
    if len(own) < MIN_OWN_TOKENS or len(others) == 0 or logprobs[0].mean() < MIN_MEAN_LOGPROB:
        return NO_FIT
    information = (own - others.mean(0)).clamp(-MAX_NATS_PER_TOKEN, MAX_NATS_PER_TOKEN).sum()
    less, equal = (others.sum(1) < own.sum()).double(), (others.sum(1) == own.sum()).double()
    return PromptFit(float(information), float((less + equal / 2).mean()))


def _is_copied(answer: Sequence[int], prompt: Sequence[int]) -> torch.Tensor:
    """[tokens] whether each token of an answer lies in a run of tokens that the prompt has too."""
    size = MIN_COPIED_TOKENS
    runs = {tuple(prompt[start : start + size]) for start in range(len(prompt) - size + 1)}
    copied = torch.zeros(len(answer), dtype=torch.bool)
    for start in range(len(answer) - size + 1):
        if tuple(answer[start : start + size]) in runs:
            copied[start : start + size] = True
    return copied
