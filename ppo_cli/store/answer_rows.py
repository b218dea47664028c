"""Samples and episodes as flat rows of samples.jsonl and rollouts.jsonl, and back.

    {"prompt_id": "p1", "sample": 0, "answer": "Boil water.", "token_count": 4, "finish": "eos", "kl": 0.1, …}

Not here: reading and writing the files (`evaluations`, `runs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any

from ppo_cli.records.answers import Answer
from ppo_cli.records.measures import Sample
from ppo_cli.records.training import Episode


def sample_to_row(sample: Sample) -> dict[str, Any]:
    """A row of samples.jsonl."""
    return {
        "prompt_id": sample.prompt_id,
        "sample": sample.index,
        **_answer_to_row(sample.answer),
        "kl": sample.kl,
        "entropy": sample.entropy,
        "fit": sample.fit,
        "fit_rank": sample.fit_rank,
        **({} if sample.closeness is None else {"closeness": sample.closeness}),
        **({"own": dict(sample.own)} if sample.own else {}),
    }


def sample_from_row(row: Mapping[str, Any]) -> Sample:
    """The sample that a row of samples.jsonl holds.

    Raises:
        KeyError: the row lacks a field, or a field has a value of another type.
    """
    return Sample(
        prompt_id=_field(row, "prompt_id", str),
        index=_field(row, "sample", int),
        answer=_answer_from_row(row),
        kl=_field(row, "kl", int, float, NoneType),
        entropy=_field(row, "entropy", int, float, NoneType),
        fit=_field({"fit": None, **row}, "fit", int, float, NoneType),
        fit_rank=_field({"fit_rank": None, **row}, "fit_rank", int, float, NoneType),
        closeness=_field({"closeness": None, **row}, "closeness", int, float, NoneType),
        own=_numbers({"own": {}, **row}, "own"),
    )


def episode_to_row(episode: Episode) -> dict[str, Any]:
    """A row of rollouts.jsonl."""
    return {
        "update": episode.update,
        "episode": episode.episode,
        "prompt_id": episode.prompt_id,
        "prompt": episode.prompt,
        **_answer_to_row(episode.answer),
        "baseline_answer": episode.baseline_answer,
        "reward": episode.reward,
        "terms": dict(episode.terms),
        "baseline_terms": dict(episode.baseline_terms),
        "kl": episode.kl,
    }


def episode_from_row(row: Mapping[str, Any]) -> Episode:
    """The episode that a row of rollouts.jsonl holds.

    Raises:
        KeyError: the row lacks a field, or a field has a value of another type.
    """
    return Episode(
        update=_field(row, "update", int),
        episode=_field(row, "episode", int),
        prompt_id=_field(row, "prompt_id", str),
        prompt=_field(row, "prompt", str),
        answer=_answer_from_row(row),
        baseline_answer=_field(row, "baseline_answer", str, NoneType),
        reward=_field(row, "reward", int, float),
        terms=_numbers(row, "terms"),
        baseline_terms=_numbers(row, "baseline_terms"),
        kl=_field(row, "kl", int, float),
    )


def _answer_to_row(answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"answer": answer.text, "token_count": answer.token_count, "finish": answer.finish}
    if answer.reasoning or answer.reasoning_tokens:
        row |= {"reasoning": answer.reasoning, "reasoning_tokens": answer.reasoning_tokens}
    return row


def _answer_from_row(row: Mapping[str, Any]) -> Answer:
    return Answer(
        text=_field(row, "answer", str),
        token_count=_field(row, "token_count", int),
        finish=_field(row, "finish", str),
        reasoning=_field({"reasoning": "", **row}, "reasoning", str),
        reasoning_tokens=_field({"reasoning_tokens": 0, **row}, "reasoning_tokens", int),
    )


def _field(row: Mapping[str, Any], name: str, *types: type) -> Any:  # noqa: ANN401 - of one of the types
    """The value of a field; true is no number."""
    value = row[name]
    if type(value) not in types:
        raise KeyError(name)
    return value


def _numbers(row: Mapping[str, Any], name: str) -> dict[str, float]:
    values: dict[str, float] = _field(row, name, dict)
    return {key: _field(values, key, int, float) for key in values}
