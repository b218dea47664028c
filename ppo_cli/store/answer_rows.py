"""Samples and episodes as flat rows of samples.jsonl and rollouts.jsonl, and back.

    {"prompt_id": "p1", "sample": 0, "answer": "Boil water.", "token_count": 4, "finish": "eos", "kl": 0.1, …}

Not here: reading and writing the files (`evaluations`, `runs`).
"""

from __future__ import annotations

from collections.abc import Mapping
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
    }


def sample_from_row(row: Mapping[str, Any]) -> Sample:
    """The sample that a row of samples.jsonl holds.

    Raises:
        KeyError: the row lacks a field.
    """
    return Sample(
        prompt_id=row["prompt_id"],
        index=row["sample"],
        answer=_answer_from_row(row),
        kl=row["kl"],
        entropy=row["entropy"],
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
        KeyError: the row lacks a field.
    """
    return Episode(
        update=row["update"],
        episode=row["episode"],
        prompt_id=row["prompt_id"],
        prompt=row["prompt"],
        answer=_answer_from_row(row),
        baseline_answer=row["baseline_answer"],
        reward=row["reward"],
        terms=row["terms"],
        baseline_terms=row["baseline_terms"],
        kl=row["kl"],
    )


def _answer_to_row(answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"answer": answer.text, "token_count": answer.token_count, "finish": answer.finish}
    return {**row, "reasoning": answer.reasoning} if answer.reasoning else row


def _answer_from_row(row: Mapping[str, Any]) -> Answer:
    return Answer(
        text=row["answer"],
        token_count=row["token_count"],
        finish=row["finish"],
        reasoning=row.get("reasoning", ""),
    )
