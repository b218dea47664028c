"""Reward terms with parameters in a config: typed, checked, frozen."""

from dataclasses import replace

import pytest

from ppo_cli.errors import ConfigError, IntegrityError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.load import as_yaml, load_experiment, load_frozen, to_dict
from ppo_cli.experiment.schema import Term
from ppo_cli.experiment.schema_index import flatten

BASE = """
name: x
goal: Say it briefly.
model: {start: builtin:smollm2-135m-instruct}
prompts: {train: train.jsonl, eval: eval.jsonl}
"""
TERMS = "reward: {terms: {keeps_to_goal: {weight: 1.0}, brief: {kind: length_band, weight: 0.5, most: 20}}}\n"


@pytest.fixture
def loaded(tmp_path):
    def load(terms, *overrides):
        config = tmp_path / "experiment.yaml"
        config.write_text(BASE + terms, encoding="utf-8")
        return load_experiment(config, overrides).experiment

    return load


def reward_group(experiment):
    return freeze.freeze(experiment, {}, {}).groups["reward"]


def test_parameters_stand_beside_the_weight_and_defaults_are_filled_in(loaded):
    term = loaded(TERMS).reward.terms["brief"]
    assert term.weight == 0.5
    assert term.parameters == {"least": 1, "most": 20, "margin": 10, "unit": "words"}


def test_an_override_reaches_one_parameter(loaded):
    term = loaded(TERMS, "reward.terms.brief.most=25").reward.terms["brief"]
    assert (term.parameters["most"], term.weight) == (25, 0.5)


def test_a_resolved_config_loads_to_an_equal_experiment(loaded, tmp_path):
    experiment = loaded(TERMS.replace("brief: {", "brief: {normalise: true, "))
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(as_yaml(experiment), encoding="utf-8")
    assert load_frozen(resolved) == experiment
    assert "parameters" not in resolved.read_text(encoding="utf-8")


def test_every_parameter_is_in_the_digest_of_the_reward(loaded):
    before = reward_group(loaded(TERMS))
    for override in ("most=21", "unit=tokens", "normalise=true", "margin=0"):
        assert reward_group(loaded(TERMS, f"reward.terms.brief.{override}")).digest != before.digest
    assert before.values["reward.terms.brief.margin"] == 10
    lock, edited = freeze.freeze(loaded(TERMS), {}, {}), loaded(TERMS, "reward.terms.brief.most=21")
    with pytest.raises(IntegrityError, match="group reward"):
        freeze.verify_config(lock, edited, "run")


def test_terms_that_were_there_before_keep_their_digest(loaded):
    plain = loaded("reward: {terms: {ended: {weight: 1}, on_topic: {weight: 0.3}}}\n")
    written_out = loaded("reward: {terms: {ended: {kind: ended, normalise: false}, on_topic: {weight: 0.3}}}\n")
    values = {path: value for path, value in flatten(to_dict(plain)).items() if path.startswith("reward.")}
    assert values == {
        "reward.other": "reference",
        "reward.other_samples": 1,
        "reward.terms.ended.weight": 1.0,
        "reward.terms.on_topic.weight": 0.3,
    }
    assert reward_group(written_out) == reward_group(plain)


def test_a_parameter_that_came_later_and_stands_at_its_default_is_no_change(loaded):
    experiment = loaded(TERMS)
    term = experiment.reward.terms["brief"]
    younger = {name: value for name, value in term.parameters.items() if name != "unit"}
    terms = {**experiment.reward.terms, "brief": Term(kind="length_band", weight=0.5, parameters=younger)}
    old = freeze.freeze(replace(experiment, reward=replace(experiment.reward, terms=terms)), {}, {})
    freeze.verify_config(old, experiment, "run")
    edited = loaded(TERMS, "reward.terms.brief.unit=tokens")
    with pytest.raises(IntegrityError, match="group reward"):
        freeze.verify_config(old, edited, "run")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("brief.moist=3", r"override: reward\.terms\.brief\.moist: no such key; did you mean reward\.terms\.brief\.mo"),
        ("brief.most=a", r"reward\.terms\.brief\.most: must be a whole number, got 'a'"),
        ("brief.most=2.5", r"reward\.terms\.brief\.most: must be a whole number, got '2.5'"),
        ("brief.most=-1", r"reward\.terms\.brief\.most: must be at least 0, got -1"),
        ("brief.least=30", r"reward\.terms\.brief\.least: 30 must not be greater than most = 20"),
        ("brief.unit=letters", r"reward\.terms\.brief\.unit: must be one of words, tokens, got 'letters'"),
        ("brief.kind=lengthband", r"reward\.terms\.brief\.kind: no kind 'lengthband'; did you mean length_band\?"),
        ("repetition.tolerated=1", r"reward\.terms\.repetition\.tolerated: must be at most 0\.99, got 1"),
        ("form={kind: format}", r"reward\.terms\.form\.form: missing \(regex .*"),
        ("format={form: regex}", r"reward\.terms\.format\.pattern: missing; form: regex needs one"),
        ("format={form: regex, pattern: '('}", r"reward\.terms\.format\.pattern: is no regular expression: missing \)"),
        ("format={form: json, pattern: x}", r"reward\.terms\.format\.pattern: has no effect unless form is regex"),
        ("required_phrases.phrases=please", r"reward\.terms\.required_phrases\.phrases: must be a list"),
        ("required_phrases.phrases=[please, ' ']", r"required_phrases\.phrases: an empty phrase"),
        ("required_phrases.phrases=[1]", r"required_phrases\.phrases: must be a text, got '1'"),
        ("refuses_hram.weight=1", r"reward\.terms\.refuses_hram: no term 'refuses_hram'; did you mean refuses_harm\?"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_path(loaded, override, message):
    with pytest.raises(ConfigError, match=message):
        loaded(TERMS, f"reward.terms.{override}")
