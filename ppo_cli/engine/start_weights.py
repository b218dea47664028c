"""Whether a loaded start model has the very weights that a run's reference had, by the digest in its provenance.

The files of a start model are pinned by the lock. A warm start is trained on the user's machine, and could be trained
anew with other last digits once the cache is emptied.

Not here: the digest itself (`policy`), writing it (`training.provenance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peft import PeftModel

from ppo_cli.engine.policy import Policy
from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.schema import Experiment


def require_same_start_weights(
    model: Any,  # noqa: ANN401
    experiment: Experiment,
    provenance: Mapping[str, Any],
    next_step: str,
) -> None:
    """Checks that a start model is the reference of a run, weight by weight; the model is as before afterwards.

    Args:
        model: the start model as `setup.start_model` loads it.
        experiment: of the run.
        provenance: of the run.
        next_step: what a user can do instead.

    Raises:
        IntegrityError: it has other weights.
    """
    policy = Policy(model, experiment.model.train, seed=experiment.seed)
    digest = policy.reference_digest()
    if isinstance(policy.trainable, PeftModel):
        policy.trainable.unload()
    if provenance.get("reference", {}).get("sha256_at_start") != digest:
        raise IntegrityError(
            "The start model, warm-started anew on this machine, has other weights than when the run started.",
            next_step,
        )
