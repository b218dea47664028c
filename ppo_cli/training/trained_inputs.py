"""Training what an experiment's inputs need, the warm start and preference models, into the cache.

Not here: the trainings themselves (`engine.warm_start`, `engine.reward_model`), the processes (`launch`).
"""

from __future__ import annotations

from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.term_types import Preference
from ppo_cli.records.events import EventHandler
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.setup.reward_resources import open_measures, open_terms
from ppo_cli.setup.start_model import load_start_model


def train_inputs(experiment: Experiment, on_event: EventHandler) -> None:
    """Fills the cache, so that no process of a group has to train something that the others do not know of.

    Args:
        experiment: whose inputs; where none is trained, nothing is done.
        on_event: called with progress.

    Raises:
        UsageError: an input cannot be used.
    """
    preferences = {name: term for name, term in experiment.reward.terms.items() if isinstance(term, Preference)}
    named = experiment.evaluation.measures
    measures = {name: measure for name, measure in named.items() if isinstance(measure, Preference)}
    if not preferences and not measures and experiment.model.warm_start is None:
        return
    reward = experiment.reward
    if preferences:  # terms of other types are opened when the run itself needs them
        reward = reward.model_copy(update={"terms": preferences})
    inputs = read_inputs(experiment.model_copy(update={"reward": reward}))
    resolved = resolve_experiment(inputs, on_event)
    if preferences:
        open_terms(inputs.reward, on_event)
    open_measures(OwnMeasures(measures, inputs.measures.context), on_event)
    if experiment.model.warm_start is not None:
        load_start_model(resolved, on_event)
