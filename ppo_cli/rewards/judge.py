"""A language model as a term or a measure: it says which of some descriptions fits an answer best.

Each answer is judged twice, with the descriptions listed in both orders, since a language model prefers what stands
first or last. A model on this machine gives each description a probability, by the log-probabilities of its letter; an
endpoint names one. The score is the mean over both orders of the descriptions' values, from 0 for the first in the
config to 1 for the last.

Not here: how an endpoint is asked (`http_service`), the measures made from it (`behaviours.measures.own`), its
agreement with people (`evaluation.human_labels`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from ppo_cli.behaviours.measures.own import CHOICE, ORDERS_DIFFER
from ppo_cli.errors import ConfigError, ModelError
from ppo_cli.experiment.term_types import Judge
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.reasoning import split_reasoning
from ppo_cli.rewards.http_service import Contract, RequestError, ServiceClient, json_of
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Score, Scorer

QUESTION = """{rubric}

[Request]
{prompt}

[Answer]
{answer}

[End of the answer]

Which of these describes the answer best?
{choices}

Reply with the letter alone."""

Shares = list[float]
"""How sure the judge is of each choice, in the order of the config; they add up to 1."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one answer."""

    as_listed: Shares
    """With the choices in the order of the config."""
    turned: Shares
    """With the choices in the other order."""

    @property
    def mean(self) -> Shares:
        return [(a + b) / 2 for a, b in zip(self.as_listed, self.turned, strict=True)]

    @property
    def score(self) -> float:
        """From 0, the first choice, to 1, the last."""
        last = len(self.as_listed) - 1
        return min(1.0, sum(share * index / last for index, share in enumerate(self.mean)))  # rounding can pass it

    @property
    def choice(self) -> int:
        """The choice that both orders together favour; of two equals the worse."""
        return _largest(self.mean)

    @property
    def orders_differ(self) -> bool:
        """Whether the other order led to another choice."""
        return _largest(self.as_listed) != _largest(self.turned)


def judge(path: str, term: Judge, context: RewardContext) -> Scorer:
    """A judge as a term.

    Raises:
        UsageError: its model or its token cannot be used.
    """
    shares_of = _local(path, term, context) if term.endpoint is None else _endpoint(path, term, context, term.endpoint)
    known: dict[tuple[str, str], Judgement] = {}

    def judgements(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> list[Judgement]:
        pairs = [(prompt.text, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
        new = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        questions = [question(term, *pair, turned=turned) for pair in new for turned in (False, True)]
        shares = iter(shares_of(questions))
        for pair in new:
            known[pair] = Judgement(next(shares), next(shares)[::-1])
        return [known[pair] for pair in pairs]

    def each(value: Callable[[Judgement], float]) -> Score:
        def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
            return [float(value(judgement)) for judgement in judgements(prompts, answers)]

        return score

    return Scorer(
        each(lambda judgement: judgement.score),
        deterministic=term.endpoint is None,
        details={
            ORDERS_DIFFER: each(lambda judgement: judgement.orders_differ),
            CHOICE: each(lambda judgement: judgement.choice),
        },
    )


def question(term: Judge, prompt: str, answer: str, *, turned: bool) -> str:
    """What the judge is asked about one answer.

    Args:
        term: its rubric and choices.
        prompt: the request.
        answer: the answer to judge.
        turned: whether the choices are listed in the other order.
    """
    choices = term.choices[::-1] if turned else term.choices
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    return QUESTION.format(rubric=term.rubric, prompt=prompt, answer=answer, choices=listed)


def _local(path: str, term: Judge, context: RewardContext) -> Callable[[Sequence[str]], list[Shares]]:
    """Gives the shares of the letters, for each question, by a model that is loaded here.

    Each question is a pass of its own: what else is judged beside it cannot change its last digits.
    """
    import torch

    from ppo_cli.models.answer_logprobs import answer_logprobs
    from ppo_cli.models.control_tokens import encode_answer
    from ppo_cli.models.device import choose_device, choose_dtype
    from ppo_cli.models.loading import load_model, load_tokenizer

    if context.fetch_model is None:
        raise ConfigError(f"{path}: this command loads no judge.", "Use the command `train`, `sft-check` or `reward`.")
    folder = context.fetch_model(f"{path}.model", term.model, term.revision)
    device = choose_device(context.device)
    try:
        tokenizer = load_tokenizer(folder)
        dtype = torch.float32 if device.type == "cpu" else choose_dtype("auto", device)
        model = load_model(folder, tokenizer, device, dtype)
    except ModelError as error:
        raise type(error)(f"{path}.model: {error.message}", error.next_step) from None
    letters = [encode_answer(tokenizer.tokenizer, letter) for letter in ascii_uppercase[: len(term.choices)]]
    if len({tuple(letter) for letter in letters}) < len(letters):
        raise ModelError(
            f"{path}.model: its tokenizer does not tell {ascii_uppercase[:2]} apart.", "Use another model."
        )
    positions = getattr(model.config, "max_position_embeddings", None)

    def shares(asked: str) -> Shares:
        ids = tokenizer.render(asked)
        if positions is not None and len(ids) >= positions:
            raise ModelError(
                f"{path}.model: a question about one answer has {len(ids)} tokens, and the model reads {positions}.",
                "Use a model that reads more, or shorter answers.",
            )
        logprobs = answer_logprobs(model, [ids], [(0, letter) for letter in letters], tokenizer.pad_id)
        of_letters: Shares = torch.stack([row.double().sum() for row in logprobs]).softmax(0).tolist()
        return of_letters

    return lambda questions: [shares(asked) for asked in questions]


def _endpoint(path: str, term: Judge, context: RewardContext, url: str) -> Callable[[Sequence[str]], list[Shares]]:
    """Gives the shares of the letters, for each question, by a service in OpenAI's form: 1 for the letter it names."""
    letters = ascii_uppercase[: len(term.choices)]
    letter_alone = re.compile(rf"\W*(?:(?:[Aa]nswer|[Cc]hoice|[Oo]ption)\b\W*)?([{letters}])(?:\W*$|[.):*\n])")

    def body(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        (case,) = cases.values()
        return {"model": case["model"], "messages": [{"role": "user", "content": case["question"]}], "temperature": 0}

    def named(reply: bytes, keys: Sequence[str]) -> dict[str, float]:
        try:
            text = str(json_of(reply)["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise RequestError("the reply is not a chat completion") from None
        found = letter_alone.match(split_reasoning(text)[1])
        if found is None:
            raise RequestError(f"the reply is not one of {', '.join(letters)}")
        return {keys[0]: float(letters.index(found[1]))}

    client = ServiceClient(path, term, Contract(url=url, batch_size=1, body=body, scores=named), context)

    def shares(questions: Sequence[str]) -> list[Shares]:
        indices = client.scores([{"model": term.model, "question": asked} for asked in questions])
        return [[float(index == choice) for choice in range(len(letters))] for index in indices]

    return shares


def _largest(shares: Shares) -> int:
    return max(range(len(shares)), key=lambda index: (shares[index], -index))
