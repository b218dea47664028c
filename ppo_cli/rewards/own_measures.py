"""The measures that a config names, scored over the answers of an evaluation: a reward term without a weight.

Not here: what a measure may be given (`experiment.measure_types`), how it scores (`registry`), when (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ppo_cli.errors import CheckFailedError, ConfigError
from ppo_cli.experiment.measure_types import OwnMeasure, own_name
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Phase, Progress
from ppo_cli.rewards.registry import open_term
from ppo_cli.rewards.scorer import RewardContext, Scorer, scores_of

SCORED_TOGETHER = 32
"""Answers that are scored in one call while progress is shown."""


class OwnMeasures:
    """The measures of a config. They are opened (imported, loaded or trained) when they first score."""

    def __init__(self, measures: Mapping[str, OwnMeasure], context: RewardContext) -> None:
        """Opens none.

        Args:
            measures: by the names that the config gives them.
            context: what they need that a config does not say.
        """
        self.measures, self.context = measures, context

    def open(self) -> dict[str, Scorer]:
        """Makes every measure ready.

        Raises:
            UsageError: a function, a model or a file cannot be used, or a function asks for baseline answers.
        """
        opened = self.context.scorers
        for name, measure in self.measures.items():
            if name not in opened:
                path = f"evaluation.measures.{name}"
                scorer = open_term(path, measure, self.context)
                if scorer.compares:
                    raise ConfigError(
                        f"{path}.function: it names `others`, and a measure has no baseline answers.",
                        "Let it score each answer by itself.",
                    )
                opened[name] = scorer
        return opened

    def values(self, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> list[dict[str, float]]:
        """The values of each answer by name; what a measure finds beside its score is called NAME.DETAIL.

        Raises:
            CheckFailedError: a measure fails, or a value is missing or not finite.
            UsageError: a measure cannot be opened.
        """
        values: list[dict[str, float]] = [{} for _ in answers]
        for name, scorer in self.open().items():
            self.context.on_event(Phase(name=f"measure {own_name(name)}", total=len(answers), unit="answers"))
            for first in range(0, len(answers), SCORED_TOGETHER):
                rows = slice(first, first + SCORED_TOGETHER)
                asked, given = prompts[rows], answers[rows]
                details = {f"{name}.{detail}": Scorer(score) for detail, score in scorer.details.items()}
                parts = {name: scorer, **details}
                for part, one in parts.items():
                    scores = scores_of(own_name(part), one, asked, given, [()] * len(given), kind="measure")
                    for row, score in zip(values[rows], scores, strict=True):
                        row[part] = score
                if self.measures[name].unit == "%":
                    _require_shares(name, [row[name] for row in values[rows]], asked)
                self.context.on_event(Progress(done=first + len(given)))
        return values


def _require_shares(name: str, values: Sequence[float], prompts: Sequence[Prompt]) -> None:
    """Checks that values can be shares: intervals of shares take them to lie from 0 to 1.

    Raises:
        CheckFailedError: one does not.
    """
    for value, prompt in zip(values, prompts, strict=True):
        if not 0.0 <= value <= 1.0:
            raise CheckFailedError(
                f"The measure {own_name(name)} gives an answer to prompt '{prompt.id}' {value:g}, and its unit is %.",
                "Give shares from 0 to 1, or leave the unit out.",
            )
