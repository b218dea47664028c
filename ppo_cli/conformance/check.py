"""One check of a trainer: a function that measures a number, with the bound that the number has to keep.

Not here: the checks (`reward_checks`, `update_checks`, `repeat_checks`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ppo_cli.conformance.adapter import Ability
from ppo_cli.conformance.trainings import Trainings
from ppo_cli.records.conformance import ConformanceCheck

Measure = Callable[[Trainings], float]

MISSING: dict[Ability, str] = {
    "kl": "the adapter reports no KL to the reference",
    "ratio": "the adapter reports no probability ratio",
    "approx_kl": "the adapter reports no approximate KL of the optimizer steps",
    "advantages": "the adapter reports neither advantages nor values",
    "micro_batches": "the trainer has no micro-batches",
    "dual_clip": "the trainer has no dual clip",
    "resume": "the trainer cannot resume",
}


class NotCheckedError(Exception):
    """The check says nothing about this trainer; the message says why."""


@dataclass(frozen=True)
class EngineCheck:
    """A check."""

    title: str
    """What holds of a trainer that passes."""
    quantity: str
    source: str
    bound: Literal["at most", "at least"]
    tolerance: float
    needs: Ability | None
    measure: Measure

    @property
    def name(self) -> str:
        """The name of the function that measures."""
        return self.measure.__name__

    @property
    def explanation(self) -> str:
        """What is checked, how, and where the tolerance comes from."""
        return inspect.getdoc(self.measure) or ""

    def run(self, trainings: Trainings) -> ConformanceCheck:
        """Measures a trainer; an error of the trainer is a failure, whatever it is."""
        missing = self.needs is not None and self.needs not in trainings.engine.abilities
        if self.needs is not None and missing:
            return self._result("not checked", None, MISSING[self.needs])
        try:
            measured = float(self.measure(trainings))
        except NotCheckedError as reason:
            return self._result("not checked", None, str(reason))
        except Exception as error:  # noqa: BLE001 - a trainer raises whatever its authors did not think of
            return self._result("fail", None, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
        if not math.isfinite(measured):
            return self._result("fail", None, f"the measured number is {measured}")
        holds = measured <= self.tolerance if self.bound == "at most" else measured >= self.tolerance
        return self._result("pass" if holds else "fail", measured)

    def _result(
        self, status: Literal["pass", "fail", "not checked"], measured: float | None, detail: str = ""
    ) -> ConformanceCheck:
        return ConformanceCheck(
            name=self.name,
            title=self.title,
            status=status,
            measured=measured,
            bound=self.bound,
            tolerance=self.tolerance,
            quantity=self.quantity,
            source=self.source,
            detail=detail,
        )


def check(
    title: str,
    *,
    quantity: str,
    source: str,
    at_most: float | None = None,
    at_least: float | None = None,
    needs: Ability | None = None,
) -> Callable[[Measure], EngineCheck]:
    """Makes a check of a function that measures a number.

    Args:
        title: what holds of a trainer that passes.
        quantity: what the function measures, with its unit.
        source: paper, with section or equation.
        at_most: the largest number that passes; or
        at_least: the smallest one.
        needs: ability without which nothing can be measured.
    """
    bound: Literal["at most", "at least"] = "at most" if at_most is not None else "at least"
    tolerance = at_most if at_most is not None else at_least
    if tolerance is None:
        raise ValueError("no bound")

    def decorate(measure: Measure) -> EngineCheck:
        return EngineCheck(title, quantity, source, bound, tolerance, needs, measure)

    return decorate
