"""`ppo measures`: every measure with its meaning, and what a config adds and rewards.

Never imports torch. Not here: the measures (`behaviours.measures`), the screen (`reports.screens.measures`).
"""

from __future__ import annotations

from pathlib import Path

from ppo_cli.behaviours.measures import MEASURES, measures_of, require_primary
from ppo_cli.experiment.load import LoadedExperiment, load_experiment
from ppo_cli.records.results import MeasureListResult, MeasureRow
from ppo_cli.rewards.rewarded_measures import measures_also_rewarded


def list_measures(config: str | Path | LoadedExperiment | None = None) -> MeasureListResult:
    """Every measure; of a config also its own, the one that it is judged by, and those that its reward scores too.

    Args:
        config: a YAML file, or what `load_experiment` returned; None for the measures that every run has.

    Raises:
        ConfigError: the config cannot be used, or is judged by no measure of its own or of every run.

    Example:
        >>> [row.name for row in list_measures("configs/refusal.yaml").measures if row.rewarded]
    """
    loaded = load_experiment(config) if isinstance(config, str | Path) else config
    if loaded is not None:
        require_primary(loaded.experiment)
    rewarded = measures_also_rewarded(loaded.experiment) if loaded else ()
    primary = loaded.experiment.evaluation.primary if loaded else None
    return MeasureListResult(
        measures=tuple(
            MeasureRow(
                name=measure.name,
                title=measure.title.strip(),
                definition=measure.definition,
                unit=measure.unit,
                better=measure.better,
                eval_only=measure.eval_only,
                rewarded=measure.name in rewarded,
                primary=measure.name == primary,
            )
            for measure in (measures_of(loaded.experiment) if loaded else MEASURES)
        ),
        rewarded_measures=rewarded,
    )
