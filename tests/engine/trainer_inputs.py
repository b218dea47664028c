"""What a PolicyTrainer needs, on a tiny model and the prompts of a tiny config."""

from pathlib import Path

import torch

from ppo_cli.engine.policy import Policy
from ppo_cli.engine.trainer import TrainerInputs
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.rewards.reward_function import CompositeReward
from tests.tiny_models import tiny_lm


def trainer_inputs(experiment, tokenizer_folder, *, model=None, reward=None, prompts=None):
    """Inputs without baseline answers.

    Args:
        experiment: the settings.
        tokenizer_folder: folder of a model with the tokenizer.
        model: trained; by default a tiny Llama.
        reward: by default that of the config.
        prompts: how many of the config's; by default all.
    """
    tokenizer = load_tokenizer(tokenizer_folder)
    chosen = read_prompts(Path(experiment.prompts.train))[:prompts]
    return TrainerInputs(
        policy=Policy(model or tiny_lm(seed=3), experiment.model.train, seed=experiment.seed),
        tokenizer=tokenizer,
        prompts=chosen,
        prompt_token_ids=[tokenizer.render(prompt.text) for prompt in chosen],
        baseline_answers={},
        reward=reward or CompositeReward(experiment.reward),
        device=torch.device("cpu"),
    )
