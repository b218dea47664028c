"""TRL's PPOConfig, made from an experiment.

What TRL would do wrong or silently ignore stays off: no end-of-turn penalty (a reward term does that), no sample
generations (they draw from the global generator), no gradient accumulation (wrong on the last batch of each pass), no
16-bit flags (ignored), no trackers (`tracking` drives them, so that one that fails does not end the run).

Not here: reading YAML (`experiment.load`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from trl.experimental.ppo import PPOConfig

from ppo_cli.experiment.paths import path_independent
from ppo_cli.experiment.schema import Experiment
from ppo_cli.experiment.schema_index import key_of
from ppo_cli.models.one_gpu import require_one_gpu

UNTRACKED_KEYS = ("model.system_prompt",)
"""Not sent to trackers: a prompt, and prompts do not leave the run's folder."""


class TrackedPPOConfig(PPOConfig):
    """TRL's settings, which give a tracker the experiment's own keys instead of TRL's hundred."""

    tracked: dict[str, Any]
    """Set after construction."""

    def to_dict(self) -> dict[str, Any]:
        """What transformers' callbacks hand to a tracker as the run's parameters."""
        return dict(self.tracked)


def tracked_settings(experiment: Experiment) -> dict[str, Any]:
    """Every key that can change a number of the run, by its path; file paths mean nothing on another machine."""
    tracked = {}
    for path, value in path_independent(experiment).items():
        key = key_of(path)  # None for a group that is null, and for what a user's function takes
        if path not in UNTRACKED_KEYS and (key is None or (key.role != "free" and not key.is_file)):
            tracked[path] = value
    return tracked


def to_trl_config(experiment: Experiment, folder: Path, device: torch.device) -> PPOConfig:
    """A new PPOConfig for one trainer; TRL writes into it.

    Args:
        experiment: the settings.
        folder: of the run; its name becomes the trackers' name of the run.
        device: to train on.

    Raises:
        ConfigError: this process sees several GPUs.
    """
    require_one_gpu(device)
    ppo, kl = experiment.ppo, experiment.kl
    config = TrackedPPOConfig(
        output_dir=str(folder),
        run_name=folder.name,
        project=experiment.name,
        seed=experiment.seed,
        use_cpu=device.type == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        learning_rate=ppo.learning_rate,
        max_grad_norm=ppo.max_grad_norm,
        total_episodes=ppo.updates * ppo.episodes_per_update,
        per_device_train_batch_size=ppo.episodes_per_update,
        gradient_accumulation_steps=1,
        num_mini_batches=ppo.minibatches,
        num_ppo_epochs=ppo.epochs,
        local_rollout_forward_batch_size=ppo.episodes_per_update,
        num_sample_generations=0,
        missing_eos_penalty=None,
        response_length=experiment.rollout.max_new_tokens,
        stop_token="eos",  # noqa: S106 - a name of TRL's, not a secret
        temperature=experiment.rollout.temperature,
        whiten_rewards=ppo.whiten_rewards,
        kl_coef=kl.coef,
        kl_estimator=kl.estimator,
        cliprange=ppo.cliprange,
        cliprange_value=ppo.cliprange_value,
        gamma=ppo.gamma,
        lam=ppo.gae_lambda,
    )
    config.tracked = tracked_settings(experiment)
    return config
