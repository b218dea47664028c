"""Provenance: enough to tell two machines apart, and never a secret."""

import json

import pytest

from ppo_cli.records.secrets import masked_arguments
from ppo_cli.store.provenance import provenance


def test_secrets_of_the_environment_and_the_command_line_are_not_written(monkeypatch):
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "SOME_OTHER_NAME"):
        monkeypatch.setenv(name, "secret123")
    argv = ["/home/someone/bin/ppo", "train", "a.yaml", "api_key=secret123", "--hf-token", "secret123", "seed=2"]
    written = json.dumps(provenance(argv), ensure_ascii=False)
    assert "secret123" not in written
    assert "someone" not in written
    assert "seed=2" in written


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("HF_TOKEN=secret123", "HF_TOKEN=…"),
        ("--password=secret123", "--password=…"),
        ("model.start=https://me:secret123@host/model", "model.start=https://…@host/model"),
        ("model.start=hf_abcDEF123456", "model.start=…"),
        ("sk-proj-abcDEF123456", "…"),
        ("rollout.max_new_tokens=48", "rollout.max_new_tokens=48"),
        ("kl.coef=0.05", "kl.coef=0.05"),
        ("AWS_SECRET_ACCESS_KEY=S", "AWS_SECRET_ACCESS_KEY=…"),
        ("reward.terms.mine.env=AWS_SECRET_ACCESS_KEY=S", "reward.terms.mine.env=AWS_SECRET_ACCESS_KEY=…"),
        ("--password=two words", "--password=…"),
        ("reward.terms.judge.url=https://h/p?v=2&key=S", "reward.terms.judge.url=https://h/p?v=2&key=…"),
        ("reward.terms.judge.token_env=JUDGE", "reward.terms.judge.token_env=JUDGE"),
        ("reward.terms.short.phrases=[key]", "reward.terms.short.phrases=[key]"),
        ("configs/secrets-of-cooking.yaml", "configs/secrets-of-cooking.yaml"),
    ],
)
def test_a_word_of_the_command_line(word, shown):
    assert masked_arguments(["ppo", word]) == ["ppo", shown]


def test_only_the_word_after_a_secret_flag_is_left_out():
    assert masked_arguments(["ppo", "--token", "--abc", "train", "x"]) == ["ppo", "--token", "…", "train", "x"]
    assert masked_arguments(["ppo", "--key", "S", "train"]) == ["ppo", "--key", "…", "train"]
    assert masked_arguments([]) == []


def test_machine_and_versions_are_plain_values_with_what_matters_first():
    record = provenance(["ppo"])
    assert json.loads(json.dumps(record)) == record
    assert list(record["packages"])[:2] == ["ppo-cli", "torch"]
    assert record["machine"]["cores"] >= 1
    assert record["git"] is None or len(record["git"]["commit"]) == 40
