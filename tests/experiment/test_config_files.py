"""A config that builds on another file: what is merged, from where paths start, and which file and line is to blame."""

from pathlib import Path

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.load import load_experiment, load_frozen, to_yaml

WHOLE = """\
name: below
goal: When asked, answer.
model: {start: 'builtin:smollm2-135m-instruct', warm_start: sft.jsonl, sft: {epochs: 3}}
prompts: {train: train.jsonl, eval: eval.jsonl}
reward:
  terms:
    ends_turn: {weight: 0.5}
    brief: {type: length_band, max: 9}
kl: {coef: 0.2, target: 4.0, horizon: 500}
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_values_above_take_the_place_of_those_below_on_every_level(write):
    write("base/whole.yaml", WHOLE)
    write("base/middle.yaml", "base: whole.yaml\nname: middle\nkl: {coef: 0.1}\nppo: {updates: 7}\n")
    top = write("top.yaml", "base: base/middle.yaml\nname: top\nreward: {terms: {ends_turn: {weight: 0.9}}}\n")
    loaded = load_experiment(top, ["ppo.updates=8"])
    experiment = loaded.experiment
    assert (experiment.name, experiment.kl.coef, experiment.kl.horizon, experiment.ppo.updates) == ("top", 0.1, 500, 8)
    assert experiment.reward.terms["ends_turn"].weight == 0.9
    assert experiment.reward.terms["brief"].max == 9
    assert {"kl.horizon", "ppo.updates", "name"} <= loaded.given
    assert "base" not in loaded.given


def test_a_file_and_its_base_are_the_same_experiment_as_one_file(write, tmp_path):
    write("whole.yaml", WHOLE)
    above = load_experiment(write("top.yaml", "base: whole.yaml\nkl: {coef: 0.3}\n")).experiment
    alone = load_experiment(write("one.yaml", WHOLE.replace("coef: 0.2", "coef: 0.3"))).experiment
    assert above == alone
    assert freeze.freeze(above, {}, {}) == freeze.freeze(alone, {}, {})
    write("config.yaml", to_yaml(above))
    assert "\nbase:" not in to_yaml(above)
    assert load_frozen(tmp_path / "config.yaml") == above


def test_paths_start_at_the_file_that_gives_them(write, tmp_path):
    write("base/whole.yaml", WHOLE)
    top = write("top.yaml", "base: base/whole.yaml\nprompts: {eval: mine.jsonl}\n")
    experiment = load_experiment(top).experiment
    assert experiment.prompts.train == str(tmp_path / "base" / "train.jsonl")
    assert experiment.model.warm_start == str(tmp_path / "base" / "sft.jsonl")
    assert experiment.prompts.eval == str(tmp_path / "mine.jsonl")


def test_a_reference_below_sees_the_values_above_and_its_path_starts_below(write, tmp_path):
    write("base/whole.yaml", WHOLE.replace("train: train.jsonl", 'train: "${name}.jsonl"'))
    experiment = load_experiment(write("top.yaml", "base: base/whole.yaml\nname: top\n")).experiment
    assert experiment.prompts.train == str(tmp_path / "base" / "top.jsonl")


def test_a_term_can_be_taken_out_or_given_another_type(write):
    write("whole.yaml", WHOLE)
    top = "base: whole.yaml\nreward: {terms: {ends_turn: null, brief: {type: repetition}}}\n"
    terms = load_experiment(write("top.yaml", top)).experiment.reward.terms
    assert list(terms) == ["brief"]
    assert (terms["brief"].type, terms["brief"].weight) == ("repetition", 1.0)


def test_a_key_of_the_base_that_a_file_above_leaves_without_effect_is_no_error(write):
    write("whole.yaml", WHOLE)
    top = "base: whole.yaml\nmodel: {warm_start: null}\nkl: {target: null}\n"
    assert load_experiment(write("top.yaml", top)).experiment.model.warm_start is None
    with pytest.raises(ConfigError, match=r"top\.yaml: line 2: kl\.horizon: has no effect unless kl\.target is set"):
        load_experiment(write("top.yaml", "base: whole.yaml\nkl: {target: null, horizon: 7}\n"))


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ("base: whole.yaml\nkl: {coef: -1}", r"/top\.yaml: line 2: kl\.coef: must be at least 0, got -1\."),
        ("base: whole.yaml\nkl:\n  coeff: 1", r"/top\.yaml: line 3: kl\.coeff: no such key; did you mean kl\.coef\?"),
        ("base: whole.yaml\nreward: {terms: {x: {}}}", r"/top\.yaml: line 2: reward\.terms\.x: no type of reward"),
        ("base: nowhere.yaml", r"/top\.yaml: line 1: base: no such file: .*/nowhere\.yaml\."),
        ("base: .", r"/top\.yaml: line 1: base: is a directory: "),
        ("base: [a, b]", r"/top\.yaml: line 1: base: must be one config file, got \['a', 'b'\]"),
        ("base: top.yaml", r"the files build on each other in a circle: .*top\.yaml → .*top\.yaml\."),
        ("base: middle.yaml", r"/middle\.yaml: line 1: base: .* circle: .*top\.yaml → .*middle\.yaml → .*top\.yaml\."),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_and_line(write, top, message):
    write("whole.yaml", WHOLE)
    write("middle.yaml", "base: top.yaml\n")
    with pytest.raises(ConfigError, match=message):
        load_experiment(write("top.yaml", top + "\n"))


def test_what_is_wrong_in_the_base_names_the_base(write):
    write("whole.yaml", WHOLE.replace("horizon: 500", "horizon: 0"))
    top = write("top.yaml", "base: whole.yaml\nkl: {coef: -1}\n")
    with pytest.raises(ConfigError) as error:
        load_experiment(top, ["ppo.updates=0"])
    assert "  - line 2: kl.coef: must be at least 0" in error.value.message
    assert f"  - {top.parent / 'whole.yaml'}: line 9: kl.horizon: must be at least 1" in error.value.message
    assert "  - override: ppo.updates: must be at least 1" in error.value.message


def test_only_a_file_names_its_base(write, tmp_path):
    with pytest.raises(ConfigError, match=r"override: base: only a file names"):
        load_experiment(write("whole.yaml", WHOLE), ["base=x.yaml"])
    with pytest.raises(ConfigError, match=r"base: no such key"):
        load_frozen(write("config.yaml", f"base: {tmp_path / 'whole.yaml'}\n{WHOLE}"))


def test_a_shipped_recipe_can_be_a_base(write):
    recipe = Path(__file__).parents[2] / "configs" / "concise.yaml"
    above = load_experiment(write("top.yaml", f"base: {recipe}\nseed: 2\n")).experiment
    assert above == load_experiment(recipe, ["seed=2"]).experiment
