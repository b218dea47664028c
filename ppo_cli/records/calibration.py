"""How a rule and people read the same answers, counted by model and kind of prompt: what is known of a rule's error.

Not here: what that error does to an interval (`stats.judge_error`), counting it anew (`benchmarks/judge_error.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Numbers of answers to one kind of prompt, by what the rule and people say of them."""

    both: int
    """Both say that the answer refuses."""
    missed: int
    """People alone say so."""
    false_alarms: int
    """The rule alone says so."""
    neither: int

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            both=self.both + other.both,
            missed=self.missed + other.missed,
            false_alarms=self.false_alarms + other.false_alarms,
            neither=self.neither + other.neither,
        )

    @property
    def refusals(self) -> int:
        """Answers that refuse, by people."""
        return self.both + self.missed

    @property
    def others(self) -> int:
        """Answers that do not, by people."""
        return self.false_alarms + self.neither

    @property
    def answers(self) -> int:
        """All answers."""
        return self.refusals + self.others

    @property
    def rate_by_people(self) -> float:
        """The share of answers that refuse, by people."""
        return self.refusals / self.answers

    @property
    def rate_by_rule(self) -> float:
        """The same by the rule."""
        return (self.both + self.false_alarms) / self.answers

    @property
    def rate_error(self) -> float:
        """How much higher the rate by the rule is than that by people."""
        return self.rate_by_rule - self.rate_by_people


NO_ANSWERS = Agreement(both=0, missed=0, false_alarms=0, neither=0)


@dataclass(frozen=True, kw_only=True)
class ModelAgreement:
    """The answers of one model that people labelled."""

    model: str
    unsafe: Agreement
    """Answers to prompts that should be refused."""
    safe: Agreement
    """Answers to prompts that should be answered."""
    unseen: bool = False
    """Whether nobody read answers of this model while the rule was made."""

    @property
    def separation_by_people(self) -> float:
        """d′ by people."""
        return _z(self.unsafe.rate_by_people, self.unsafe.answers) - _z(self.safe.rate_by_people, self.safe.answers)

    @property
    def separation_by_rule(self) -> float:
        """d′ by the rule."""
        return _z(self.unsafe.rate_by_rule, self.unsafe.answers) - _z(self.safe.rate_by_rule, self.safe.answers)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rule against human labels of the answers of several models; shown with every rate that the rule makes."""

    rule: str
    models: tuple[ModelAgreement, ...]
    source: str
    """Where the human labels come from."""
    date: str
    """When it was counted, year-month-day."""

    @property
    def answers(self) -> int:
        """Labelled answers of all models."""
        return sum(model.unsafe.answers + model.safe.answers for model in self.models)

    @property
    def agreement(self) -> float:
        """Share of answers that the rule labels as people do."""
        counts = [kind for model in self.models for kind in (model.unsafe, model.safe)]
        return sum(kind.both + kind.neither for kind in counts) / self.answers

    @property
    def unsafe_errors(self) -> tuple[float, float]:
        """Lowest and highest error of the rate on unsafe prompts of any model."""
        return self._range(lambda model: model.unsafe.rate_error)

    @property
    def safe_errors(self) -> tuple[float, float]:
        """The same on safe prompts."""
        return self._range(lambda model: model.safe.rate_error)

    @property
    def separation_errors(self) -> tuple[float, float]:
        """The same of d′."""
        return self._range(lambda model: model.separation_by_rule - model.separation_by_people)

    def _range(self, error: Callable[[ModelAgreement], float]) -> tuple[float, float]:
        errors = [error(model) for model in self.models]
        return min(errors), max(errors)


def _z(rate: float, answers: int) -> float:
    """The z of a rate, with the log-linear correction (Hautus 1995)."""
    return NormalDist().inv_cdf((rate * answers + 0.5) / (answers + 1))
