"""The contract of a reward term: one finite score per answer, in the order of the answers.

Every term, be it a user's function, a model or a service, is checked here before a score reaches the weights.

Not here: the types of reward, how their scores add up (`reward_function`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ppo_cli.errors import CheckFailedError, MemoryFullError, PpoError, as_ppo_error
from ppo_cli.experiment.term_types import Preference
from ppo_cli.models.open_model import OpenModel
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, ignore_events

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer

MAX_SHOWN_CHARACTERS = 40
"""Characters of a wrong score that a message repeats."""

BaselineAnswers = Sequence[Sequence[Answer]]
Score = Callable[[Sequence[Prompt], Sequence[Answer], BaselineAnswers], Sequence[float]]
"""(prompts, answers, baseline answers of each prompt) to one number per answer, all in one order."""


@dataclass(frozen=True)
class Scorer:
    """One term, ready to score."""

    score: Score
    deterministic: bool = True
    """Whether an answer gets the same score in every run."""
    compares: bool = False
    """Whether the score already compares with the baseline answers; if not, these are scored too and subtracted."""
    details: Mapping[str, Score] = field(default_factory=dict)
    """What else the term finds of an answer while it scores, by name; of a measure it is recorded too."""


@dataclass(frozen=True)
class InstructModel:
    """The start model as it was before any warm start, frozen."""

    open_model: OpenModel
    tokenizer: ChatTokenizer


@dataclass
class RewardContext:
    """What some types of reward need that a config does not say."""

    device: str = "cpu"
    """As the config's key `device`."""
    on_event: EventHandler = ignore_events
    """Called with each progress event and notice."""
    cache: Path | None = None
    """File of a service's scores; None keeps them in memory."""
    train_reward_model: Callable[[str, Preference, EventHandler], Path] | None = None
    """Gives the folder of a preference model, training it the first time: path of the term, the term."""
    fetch_model: Callable[[str, str, str | None], Path] | None = None
    """Gives the folder of a model: path of the key that names it, its name, its revision."""
    instruct_model: InstructModel | None = None
    """Loaded when it is first used."""
    prompts: Sequence[Prompt] = ()
    """The training prompts."""
    token_ids: Mapping[Prompt, Sequence[int]] = field(default_factory=dict)
    """Of the training prompts, for the instruct model."""
    scorers: dict[str, Scorer] = field(default_factory=dict)
    """The opened terms, by name."""


def scores_of(
    name: str,
    scorer: Scorer,
    prompts: Sequence[Prompt],
    answers: Sequence[Answer],
    baseline: BaselineAnswers,
    *,
    kind: Literal["reward term", "measure"] = "reward term",
) -> list[float]:
    """A term's scores of some answers, checked.

    Args:
        name: of the term, for messages.
        scorer: the term, ready to score.
        prompts: one per answer.
        answers: to score.
        baseline: baseline answers to each prompt; may be empty.
        kind: what the term is, for messages.

    Raises:
        CheckFailedError: the term raised an error, or returned another number of scores, or one that is not finite.
    """
    try:
        scores = list(scorer.score(prompts, answers, baseline))
    except PpoError:
        raise
    except Exception as error:
        if isinstance(known := as_ppo_error(error), MemoryFullError):
            raise known from error
        raise CheckFailedError(
            f"The {kind} {name} failed: {type(error).__name__}: {_first_line(error)}.", f"Fix that {_short(kind)}."
        ) from error
    if len(scores) != len(answers):
        raise CheckFailedError(
            f"The {kind} {name} returned {len(scores)} scores for {len(answers)} answers.",
            "Return one score per answer, in their order.",
        )
    of = f"{_short(kind)} {name}"
    return [as_score(score, of, prompt) for score, prompt in zip(scores, prompts, strict=True)]


def as_score(value: object, of: str, prompt: Prompt) -> float:
    """A value as a finite float.

    Args:
        value: what a term returned.
        of: what the value is, for the message.
        prompt: that was answered, for the message.

    Raises:
        CheckFailedError: it is not a finite number.
    """
    is_number = not isinstance(value, str | bytes | None) and hasattr(value, "__float__")
    try:
        score = float(value) if is_number else math.nan  # type: ignore[arg-type]  # it has __float__
    except Exception:  # noqa: BLE001 - whatever a type of the user's raises; OverflowError of an integer like 10**400
        score = math.nan
    if not math.isfinite(score):
        shown = _shown(value) if is_number else f"{_shown(value)!r}, not a number"
        raise CheckFailedError(
            f"The score of prompt '{prompt.id}' is {shown} ({of}).", "Fix it; no update was made with it."
        )
    return score


def _short(kind: str) -> str:
    return kind.rpartition(" ")[2]


def _shown(value: object) -> str:
    """The beginning of a value as text, of any value that a user's function may return."""
    try:
        return str(value)[:MAX_SHOWN_CHARACTERS]
    except Exception:  # noqa: BLE001 - an integer of more than 4,300 digits, or a type of the user's
        return f"too long to show ({type(value).__name__})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else "no message"
