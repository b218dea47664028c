"""Environment variables in a config: read when it is loaded, kept by name, and never written down where secret."""

import pytest

from ppo_cli.errors import ConfigError, IntegrityError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.environment import read_secret
from ppo_cli.experiment.load import load_experiment, load_frozen, to_yaml
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.python_function import python_function

TEXT = """\
name: env
goal: When asked, answer.
model: {start: 'builtin:smollm2-135m-instruct'}
prompts: {train: '${oc.env:DATA}/train.jsonl', eval: eval.jsonl}
reward: {terms: {ends_turn: {weight: '${oc.env:WEIGHT,0.5}'}}}
"""
SECRET = "hf_abcdefghijklmnop"


@pytest.fixture
def load(tmp_path, monkeypatch):
    def load(text, *overrides, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return load_experiment(path, overrides)

    return load


def test_a_value_is_read_and_the_lock_keeps_the_name(load, tmp_path):
    loaded = load(TEXT, DATA="data", WEIGHT="2")
    assert loaded.experiment.prompts.train == str(tmp_path / "data" / "train.jsonl")
    assert loaded.experiment.reward.terms["ends_turn"].weight == 2.0
    assert loaded.environment == {"prompts.train": "DATA", "reward.terms.ends_turn.weight": "WEIGHT"}
    lock = freeze.freeze(loaded.experiment, {}, {}, loaded.environment)
    text = freeze.to_yaml(lock)
    assert freeze.from_yaml(text, "lock") == lock
    assert lock.fingerprint == freeze.freeze(loaded.experiment, {}, {}).fingerprint
    with pytest.raises(IntegrityError, match="edited after freezing"):
        freeze.from_yaml(text.replace(": WEIGHT", ": OTHER"), "lock")


def test_a_default_stands_for_a_variable_that_is_not_set(load, monkeypatch):
    monkeypatch.delenv("WEIGHT", raising=False)
    assert load(TEXT, DATA="/data").experiment.reward.terms["ends_turn"].weight == 0.5


def test_a_value_that_looks_like_a_reference_is_a_text(load):
    assert load(TEXT, "goal=${oc.env:GOAL}", DATA="d", GOAL="Say ${name}.").experiment.goal == "Say ${name}."


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("goal=${oc.env:NOT_SET_HERE}", r"override: goal: the environment variable NOT_SET_HERE is not set"),
        ("goal=${oc.env:TOKEN}", r"goal: TOKEN holds what looks like a secret, which would be written into the run"),
        ("goal=${oc.env:${name}}", r"goal: .* calls a resolver; write the value itself"),
        ("goal=${oc.decode:1}", r"goal: .* calls a resolver"),
        ("kl.coef=${oc.env:WORD}", r"kl\.coef: must be a number, got 'much'"),
        (
            "reward.terms.s={type: http, url: 'http://localhost:1', token_env: '${oc.env:TOKEN}'}",
            r"token_env: takes the name of the variable, not its value; write TOKEN",
        ),
    ],
)
def test_what_cannot_be_taken_from_a_variable(load, override, message):
    with pytest.raises(ConfigError, match=message) as error:
        load(TEXT, override, DATA="d", TOKEN=SECRET, WORD="much")
    assert SECRET not in str(error.value)


def test_a_secret_is_written_by_its_name_alone_and_read_when_it_is_used(load, tmp_path, monkeypatch):
    term = "reward.terms.mine={type: python, function: 'a.py:b', api_key: '${oc.env:TOKEN}'}"
    loaded = load(TEXT, term, "goal=Ask ${reward.terms.mine.api_key}.", DATA="d", TOKEN=SECRET)
    kept = loaded.experiment.reward.terms["mine"].arguments["api_key"]
    assert kept == "${oc.env:TOKEN}"
    lock = freeze.freeze(loaded.experiment, {}, {}, loaded.environment)
    for text in (to_yaml(loaded.experiment), freeze.to_yaml(lock), repr(loaded), loaded.experiment.goal):
        assert SECRET not in text
    assert lock.environment["reward.terms.mine.api_key"] == "TOKEN"
    (tmp_path / "config.yaml").write_text(to_yaml(loaded.experiment))
    assert load_frozen(tmp_path / "config.yaml") == loaded.experiment
    assert read_secret(kept, "reward.terms.mine.api_key") == SECRET
    monkeypatch.delenv("TOKEN")
    with pytest.raises(ConfigError, match=r"reward\.terms\.mine\.api_key: the environment variable TOKEN is not set"):
        read_secret(kept, "reward.terms.mine.api_key")


def test_headers_of_a_service_name_their_variable_alone(load):
    term = (
        "reward.terms.s={type: http, url: 'http://localhost:1', headers: ['X-Api-Key: ${oc.env:TOKEN}', 'X-Team: a']}"
    )
    loaded = load(TEXT, term, DATA="d", TOKEN=SECRET)
    assert loaded.experiment.reward.terms["s"].headers == ("X-Api-Key: ${oc.env:TOKEN}", "X-Team: a")
    assert loaded.environment["reward.terms.s.headers"] == "TOKEN"
    assert SECRET not in to_yaml(loaded.experiment) + freeze.to_yaml(freeze.freeze(loaded.experiment, {}, {}))


def test_a_python_reward_gets_the_secret(load, tmp_path):
    (tmp_path / "a.py").write_text("def b(answers, api_key):\n    return [float(api_key == 'hf_abcdefghijklmnop')]\n")
    term = f"reward.terms.mine={{type: python, function: '{tmp_path}/a.py:b', api_key: '${{oc.env:TOKEN}}'}}"
    loaded = load(TEXT, term, DATA="d", TOKEN=SECRET)
    scorer = python_function("reward.terms.mine", loaded.experiment.reward.terms["mine"])
    asked = Prompt(id="a", text="Hi?", category="all", expect="any")
    assert scorer.score([asked], [Answer(text="Yes.", token_count=2, finish="eos")], [[]]) == [1.0]
