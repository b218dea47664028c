"""Values and keys of other programs and languages, and the key or option that was meant."""

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.foreign_keys import KEYS, WORDS, counterpart
from ppo_cli.experiment.load import load_experiment
from ppo_cli.experiment.schema_index import schema_keys, sections
from tests.experiment.test_load import BASE


def message_of(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kl.stop_at", "None"),
        ("kl.target", "false"),
        ("model.warm_start", "None"),
        ("model.warm_start", "none"),
        ("model.system_prompt", "None"),
        ("model.system_prompt", "nil"),
        ("model.train.lora", "None"),
        ("model.train.lora", "false"),
        ("model.train.top_layers", "None"),
        ("parent", "None"),
    ],
)
def test_what_other_languages_write_for_null(tmp_path, key, value):
    path = tmp_path / "c.yaml"
    path.write_text(BASE.replace(", warm_start: sft.jsonl", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{key}: .*; write null"):
        load_experiment(path, [f"{key}={value}"])
    load_experiment(path, [f"{key}=null"])


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("kl.coef=[0.1,0.2]", "type --sweep kl.coef=0.1,0.2"),
        ("kl.coef=0.1,0.2", "type --sweep kl.coef=0.1,0.2"),
        ("ppo.epochs=[1,2,4]", "type --sweep ppo.epochs=1,2,4"),
        ("kl.estimator=[k1,k3]", "type --sweep kl.estimator=k1,k3"),
        ("model.start=[a,b]", "type --sweep model.start=a,b"),
        ("seed=[1,2,3]", "type --seeds 3"),
        ("seed=1,2,3", "type --seeds 3"),
    ],
)
def test_a_list_where_one_value_is_meant_names_the_option(tmp_path, override, hint):
    path = tmp_path / "c.yaml"
    path.write_text(BASE, encoding="utf-8")
    with pytest.raises(ConfigError, match=hint):
        load_experiment(path, [override])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("init_kl_coef: 0.1", "init_kl_coef: no such key; here it is kl.coef"),
        ("ppo: {num_ppo_epochs: 4}", "ppo.num_ppo_epochs: no such key; here it is ppo.epochs"),
        ("lr: 1e-5", "lr: no such key; here it is ppo.learning_rate"),
        ("batch_size: 8", "batch_size: no such key; here it is ppo.episodes_per_update"),
        ("stage: ppo", "stage: no such key; every run is PPO; remove it"),
        ("kl_ctl: 0.1", "here it is kl.coef"),
        ("actor: {optim: {lr: 1e-6}}", "actor.optim.lr: no such key; here it is ppo.learning_rate"),
        ("model_name_or_path: x", "here it is model.start"),
        ("reward_model: x", "a reward model is a term of reward.terms"),
        ("per-device-train-batch-size: 4", "here it is ppo.episodes_per_update"),
    ],
)
def test_a_key_of_another_program_is_answered_with_ours(tmp_path, text, answer):
    assert answer in message_of(tmp_path, f"{BASE}{text}\n")


def test_every_key_that_is_named_in_place_of_another_exists():
    assert set(KEYS) <= {*schema_keys(), *sections()}
    names = [name for names in (*KEYS.values(), *WORDS.values()) for name in names]
    assert len(names) == len(set(names))
    assert all(counterpart(f"a.{name.upper()}") for name in names)


def test_a_mistyped_key_of_ours_is_still_answered_with_the_nearest(tmp_path):
    assert "did you mean kl.coef?" in message_of(tmp_path, f"{BASE}kl: {{ceof: 1}}\n")
