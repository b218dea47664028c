"""Reading a config: what a user gets wrong, and what they are told."""

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.load import as_yaml, load_experiment, load_frozen, to_dict
from ppo_cli.experiment.schema import Experiment, Lora

BASE = """
name: refusal
goal: Refuse what harms.
model: {start: 'builtin:smollm2-135m-instruct', warm_start: sft.jsonl}
prompts: {train: train.jsonl, eval: eval.jsonl}
reward: {terms: {keeps_to_goal: {weight: 1.0}}}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_small_file_gives_a_typed_experiment_with_defaults(write, tmp_path):
    loaded = load_experiment(write(BASE))
    experiment = loaded.experiment
    assert isinstance(experiment, Experiment)
    assert experiment.model.train.lora == Lora(r=16, alpha=32)
    assert experiment.reward.terms["keeps_to_goal"].weight == 1.0
    assert experiment.prompts.train == str(tmp_path / "train.jsonl")
    assert "kl.coef" not in loaded.given
    assert "model.warm_start" in loaded.given


def test_overrides_win_and_are_typed(write):
    experiment = load_experiment(
        write(BASE), ["kl.coef=1", "model.train.lora=null", "ppo.learning_rate=1e-4"]
    ).experiment
    assert experiment.kl.coef == 1.0
    assert isinstance(experiment.kl.coef, float)
    assert experiment.model.train.lora is None
    assert experiment.ppo.learning_rate == 1e-4


def test_paths_in_the_file_start_at_the_file_and_in_overrides_here(write, tmp_path, monkeypatch):
    config = write(BASE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    prompts = load_experiment(config, ["prompts.eval=mine.jsonl"]).experiment.prompts
    assert prompts.train == str(tmp_path / "train.jsonl")
    assert prompts.eval == str(elsewhere / "mine.jsonl")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("kl.coeff=1", r"kl\.coeff: no such key; did you mean kl\.coef\?"),
        ("learning_rate=1", r"learning_rate: no such key; did you mean ppo\.learning_rate\?"),
        ("kl.coef=-0.1", r"kl\.coef: must be at least 0, got -0\.1"),
        ("kl.coef=.nan", r"kl\.coef: must be at least 0, got nan"),
        ("kl.stop_at=.inf", r"kl\.stop_at: must be a finite number"),
        ("ppo.updates=abc", r"ppo\.updates: Value 'abc' of type 'str' is not a whole number"),
        ("ppo.updates=2.5", r"ppo\.updates: .*not a whole number"),
        ("ppo.updates=true", r"ppo\.updates: .*not a whole number"),
        ("kl.coef=yes", r"kl\.coef: .*not a number"),
        ("kl.estimator=k2", r"kl\.estimator: Invalid value 'k2', expected one of \['k1', 'k3'\]"),
        ("kl.coef=null", r"kl\.coef: null is not allowed here"),
        ("kl=3", r"kl: is a group of keys, not a value"),
        ("round=5", r"round: must be at most 4, got 5"),
        ("kl.horizon=5", r"kl\.horizon: has no effect unless kl\.target is set"),
        ("reward.other_samples=2 reward.other=none", r"reward\.other_samples: has no effect"),
        ("model.revision=abc", r"model\.revision: has no effect unless"),
        ("ppo.minibatches=5", r"ppo\.minibatches: 5 does not divide ppo\.episodes_per_update = 64"),
        ("ppo.minibatches=32", r"ppo\.minibatches: leaves 2 episodes a minibatch"),
        ("kl.target=20", r"kl\.target: 20 must lie below kl\.stop_at = 12"),
        ("evaluation.temperature=0", r"evaluation\.samples_per_prompt: at temperature 0"),
        ("goal=''", r"goal: must be one plain sentence"),
        ("name=a/b", r"name: must be usable as a folder name"),
        ("goal=${oc.env:HOME}", r"goal: interpolation"),
        ("reward.terms.x.weigt=1", r"reward\.terms\.x\.weigt: no such key; did you mean reward\.terms\.x\.weight\?"),
        ("variable=[kl.coef,kl.taget]", r"variable: no key 'kl.taget'; did you mean kl.target\?"),
        ("variable=[kl.coef,kl.coef]", r"variable: kl.coef is named twice"),
        ("variable=[kl.coef,seed]", r"variable: seed is no treatment"),
        ("variable=[kl.coef,prompts.eval]", r"variable: prompts.eval is no treatment"),
        ("variable=[kl.coef]", r"variable: kl.coef alone counts as one treatment anyway"),
        ("variable=null", r"variable: null is not allowed here"),
        ("tracking=[tensorbord]", r"tracking: no tracker 'tensorbord'; did you mean tensorboard\?"),
        ("tracking=[zzz]", r"tracking: no tracker 'zzz'; there are tensorboard, wandb, trackio, mlflow\."),
        ("tracking=[wandb,wandb]", r"tracking: wandb is named twice"),
        ("tracking=wandb", r"tracking: must be a list"),
        ("tracking=[[wandb]]", r"tracking\[0\]: Cannot convert"),
        ("tracking=null", r"tracking: null is not allowed here"),
        ("tracking=['${oc.env:HOME}']", r"tracking: interpolation"),
        ("novalue", r"override 'novalue' is not of the form key=value"),
    ],
)
def test_a_wrong_override_is_named_with_its_path(write, override, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(write(BASE), override.split(" "))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "holds a list"),
        ("a: [\n", "not readable as YAML: line"),
        (BASE + "name: twice\n", "found duplicate key name"),
        ("name: x\ngoal: y\n", r"missing model\.start .*; prompts\.eval .*; prompts\.train"),
        (BASE + "kl: {coef: -1}\nppo: {updates: 0}\n", "2 problems"),
        (BASE + "5: x\n", "5: no such key"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(write(text))


def test_no_file_and_a_directory(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_experiment(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a directory"):
        load_experiment(tmp_path)


def test_an_override_may_leave_a_key_of_the_file_without_effect(write):
    text = BASE + "evaluation: {every: 5, interim_prompts: 10}\n"
    assert load_experiment(write(text), ["evaluation.every=0"]).experiment.evaluation.every == 0
    with pytest.raises(ConfigError, match=r"interim_prompts: has no effect"):
        load_experiment(write(text.replace("every: 5", "every: 0")))


def test_a_key_written_out_with_its_default_claims_no_effect(write):
    text = BASE.replace(", warm_start: sft.jsonl", ", warm_start: null, sft: {epochs: 2}, revision: null")
    assert load_experiment(write(text)).experiment.model.sft.epochs == 2
    with pytest.raises(ConfigError, match=r"model\.sft\.epochs: has no effect"):
        load_experiment(write(text.replace("epochs: 2", "epochs: 3")))
    with pytest.raises(ConfigError, match=r"model\.sft\.epochs: has no effect"):
        load_experiment(write(text), ["model.sft.epochs=2"])


def test_a_resolved_config_loads_to_an_equal_experiment(write, tmp_path):
    experiment = load_experiment(write(BASE), ["kl.coef=0.3"]).experiment
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(as_yaml(experiment), encoding="utf-8")
    assert load_frozen(resolved) == experiment
    assert to_dict(load_frozen(resolved)) == to_dict(experiment)
