"""How much the seed alone changes the measures of a run's setting: from its own folder, or from the recipe it runs.

Never imports torch. Not here: the files (`store.seed_noise`), the sentence about it (`reports.seed_noise`).
"""

from __future__ import annotations

from ppo_cli.behaviours.label_answers import RULES_VERSION
from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.evaluation.compared_runs import ComparedRun
from ppo_cli.experiment.freeze import Lock
from ppo_cli.records.comparisons import SeedNoise
from ppo_cli.records.measures import Measure
from ppo_cli.setup.recipes import templates_folder
from ppo_cli.stats.comparability import setting_digest
from ppo_cli.stats.seed_variance import seed_deviation
from ppo_cli.store.runs import Run
from ppo_cli.store.seed_noise import FILE, read_recipe_seed_noise, read_seed_noise


def known_seed_noise(run: Run, lock: Lock) -> SeedNoise | None:
    """The seed noise of a run's setting: of more seeds where both runs here and the recipe know it; None where neither.

    Args:
        run: whose setting.
        lock: of the run.

    Raises:
        IntegrityError: a file is damaged.
    """
    compared_here = read_seed_noise(run, RULES_VERSION)
    shipped = read_recipe_seed_noise(templates_folder() / FILE, setting_digest(lock))
    known = [noise for noise in (compared_here, shipped) if noise is not None]
    return max(known, key=lambda noise: len(noise.seeds), default=None)


def measured_seed_noise(arm: list[ComparedRun], recipe: str = "") -> SeedNoise:
    """How much the seed alone changes the headlines of a setting.

    Args:
        arm: finished runs of one setting, one per seed.
        recipe: that the runs are of, where its file is to hold the result.
    """
    return SeedNoise(
        seeds=tuple(run.experiment.seed for run in arm),
        deviation=seed_deviation(
            headlines(arm[0].experiment.evaluation.primary), [run.evaluated.matrix for run in arm]
        ),
        measured=max(run.records.state.ended or run.records.state.started for run in arm)[:10],
        runs=() if recipe else tuple(run.name for run in arm),
        recipe=recipe,
    )


def headlines(primary: str) -> list[Measure]:
    """The primary, then the other headlines."""
    return [measure_named(primary), *(measure for measure in HEADLINES if measure.name != primary)]
