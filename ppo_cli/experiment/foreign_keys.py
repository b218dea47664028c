"""What keys of TRL, LLaMA-Factory, OpenRLHF and verl are called here.

A config that was written for one of them names its keys; each is answered with the key of this program.

Not here: the keys of this program (`schema`), mistyped ones (`schema_index`).
"""

from __future__ import annotations

from collections.abc import Mapping

KEYS: Mapping[str, tuple[str, ...]] = {
    "kl.coef": ("init_kl_coef", "kl_coef", "kl_ctl", "kl_beta", "kl_loss_coef", "beta", "adap_kl_ctrl"),
    "kl.estimator": ("kl_estimator", "kl_penalty"),
    "kl.target": ("target_kl", "kl_target", "ppo_target"),
    "kl.horizon": ("kl_horizon",),
    "ppo.updates": ("total_episodes", "num_episodes", "num_train_epochs", "total_epochs", "max_steps", "num_updates"),
    "ppo.episodes_per_update": (
        "batch_size",
        "rollout_batch_size",
        "train_batch_size",
        "per_device_train_batch_size",
        "ppo_buffer_size",
    ),
    "ppo.epochs": ("num_ppo_epochs", "ppo_epochs", "max_epochs"),
    "ppo.minibatches": (
        "num_mini_batches",
        "mini_batch_size",
        "ppo_mini_batch_size",
        "micro_train_batch_size",
        "gradient_accumulation_steps",
    ),
    "ppo.learning_rate": ("lr", "actor_learning_rate", "actor_lr", "policy_lr"),
    "ppo.critic_learning_rate": ("critic_lr", "value_lr", "critic_learning_rate"),
    "ppo.warmup_updates": ("warmup_steps", "warmup_ratio", "lr_warmup_steps", "lr_warmup_ratio"),
    "ppo.learning_rate_schedule": ("lr_scheduler_type", "lr_scheduler", "lr_schedule"),
    "ppo.cliprange": ("clip_range", "clip_ratio", "eps_clip", "epsilon", "clip_eps"),
    "ppo.cliprange_value": ("value_clip", "clip_range_value", "cliprange_vf"),
    "ppo.cliprange_reward": ("reward_clip_range", "cliprange_score", "reward_clip", "clip_reward_value"),
    "ppo.dual_clip": ("clip_ratio_c", "dual_clip_coef"),
    "ppo.critic_warmup_updates": ("critic_warmup", "freezing_actor_steps", "value_warmup_steps"),
    "model.attn_implementation": ("attn", "flash_attn", "use_flash_attention", "_attn_implementation"),
    "ppo.gae_lambda": ("lam", "lambd", "lambda", "gae_lam"),
    "ppo.answers_per_prompt": (
        "num_generations",
        "n_samples_per_prompt",
        "rloo_k",
        "num_return_sequences",
        "rollout_n",
    ),
    "ppo.target_kl": ("early_stop_kl", "kl_early_stop", "target_kl_early_stopping"),
    "ppo.max_grad_norm": ("max_norm", "grad_clip", "gradient_clip", "max_gradient_norm"),
    "ppo.whiten_rewards": ("ppo_whiten_rewards", "normalize_rewards", "use_score_norm", "ppo_score_norm"),
    "rollout.max_new_tokens": ("response_length", "generate_max_len", "max_response_length", "max_completion_length"),
    "rollout.temperature": ("sampling_temperature",),
    "prompts.max_tokens": ("cutoff_len", "prompt_max_len", "max_prompt_length", "max_len", "max_length", "max_seq_len"),
    "prompts.train": ("dataset", "dataset_name", "dataset_dir", "prompt_data", "train_files", "dataset_train_split"),
    "prompts.eval": ("eval_dataset", "val_files", "dataset_test_split"),
    "model.start": (
        "model_name_or_path",
        "model_name",
        "model_path",
        "pretrain",
        "sft_model_path",
        "actor_model",
        "policy_model",
        "model_id",
    ),
    "model.revision": ("model_revision",),
    "model.system_prompt": ("default_system", "system"),
    "model.dtype": ("bf16", "fp16", "torch_dtype", "precision", "pure_bf16"),
    "model.train.lora": ("finetuning_type", "use_peft", "peft_config", "use_lora"),
    "model.train.lora.r": ("lora_rank", "lora_r", "lora_dim"),
    "model.train.lora.alpha": ("lora_alpha",),
    "model.train.top_layers": ("num_layers_unfrozen", "freeze_trainable_layers", "unfreeze_layers"),
    "evaluation.every": ("eval_steps", "test_freq", "eval_every"),
    "checkpoints.every": ("save_steps", "save_freq", "save_interval"),
    "checkpoints.keep": ("save_total_limit", "max_ckpt_num"),
    "tracking": ("report_to", "log_with", "use_wandb", "logger", "use_tensorboard"),
    "output": ("output_dir", "save_path", "ckpt_path", "default_local_dir", "project_dir"),
    "name": ("run_name", "exp_name", "experiment_name"),
}
"""By key of this program, the names that it has elsewhere."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "a reward model is a term of reward.terms, as {type: classifier, model: …}": (
        "reward_model",
        "reward_model_path",
        "reward_pretrain",
        "reward_model_type",
    ),
    "a reward service is a term of reward.terms, as {type: http, url: …}": ("remote_rm_url", "reward_model_server"),
    "a reward function is a term of reward.terms, as {type: python, function: file.py:name}": (
        "reward_fn",
        "reward_funcs",
        "custom_reward_function",
        "reward_func",
    ),
    "an answer that ends its turn is rewarded by the term ends_turn": ("missing_eos_penalty", "non_eos_penalty"),
    "every run is PPO; remove it": ("stage", "do_train", "do_eval", "algorithm", "adv_estimator"),
    "the reference is the start model; remove it": ("ref_model", "ref_pretrain", "reference_model", "create_reference"),
    "the model's own chat template is used; remove it": ("template", "chat_template", "apply_chat_template"),
    "answers are drawn by plain sampling, as PPO's ratio assumes; remove it": (
        "top_k",
        "top_p",
        "num_beams",
        "do_sample",
    ),
    "every linear map of the trained layers gets an adapter; remove it": ("lora_target", "lora_target_modules"),
    "the critic's loss has a fixed weight, since another one changes next to nothing; remove it": (
        "value_coef",
        "vf_coef",
        "vf_loss_coef",
        "value_loss_coef",
    ),
    "every update is written down; remove it": ("logging_steps", "log_freq", "logging_dir"),
    "type --processes N for several GPUs, and remove it": (
        "n_gpus_per_node",
        "num_processes",
        "deepspeed",
        "zero_stage",
    ),
}
"""By what to do instead, the keys that have no counterpart."""

_ANSWERS = {
    **{name: f"here it is {key}" for key, names in KEYS.items() for name in names},
    **{name: words for words, names in WORDS.items() for name in names},
}


def counterpart(path: str) -> str | None:
    """What to write in place of a key of another program; None for a key that none of them has.

    Args:
        path: the key as it is in the config; its last part counts.
    """
    return _ANSWERS.get(path.rpartition(".")[2].lower().replace("-", "_"))
