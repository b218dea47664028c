"""Reading a config: what a user gets wrong, and what they are told."""

import pickle

import pytest
from pydantic import ValidationError

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.load import load_experiment, load_frozen, to_yaml
from ppo_cli.experiment.schema import Experiment, Kl, Lora, Model, Prompts
from ppo_cli.experiment.values import to_dict

BASE = """
name: refusal
goal: Refuse what harms.
model: {start: 'builtin:smollm2-135m-instruct', warm_start: sft.jsonl}
prompts: {train: train.jsonl, eval: eval.jsonl}
reward: {terms: {matches_expect: {weight: 1.0}}}
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
    assert experiment.reward.terms["matches_expect"].weight == 1.0
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
        ("kll.coef=1", r"override: kll\.coef: no such key; did you mean kl\.coef\?"),
        ("zzz.qqq=1", r"override: zzz\.qqq: no such key\."),
        ("learning_rate=1", r"learning_rate: no such key; did you mean ppo\.learning_rate\?"),
        ("kl.coef=-0.1", r"kl\.coef: must be at least 0, got -0\.1"),
        ("kl.coef=.nan", r"kl\.coef: must be a finite number, got nan"),
        ("kl.stop_at=.inf", r"kl\.stop_at: must be a finite number"),
        ("ppo.updates=abc", r"ppo\.updates: must be a whole number, got 'abc'"),
        ("ppo.updates=2.5", r"ppo\.updates: must be a whole number, got 2\.5"),
        ("ppo.updates=true", r"ppo\.updates: must be a whole number, got true"),
        ("kl.coef=yes", r"kl\.coef: must be a number, got true"),
        ("kl.estimator=k2", r"kl\.estimator: must be one of k1, k3, got 'k2'"),
        ("kl.coef=null", r"kl\.coef: must be a number, got null"),
        ("kl=3", r"kl: must be a group of keys, not a value, got 3"),
        ("round=5", r"round: must be at most 4, got 5"),
        ("kl.horizon=5", r"kl\.horizon: has no effect unless kl\.target is set"),
        ("reward.baseline_samples=2 reward.baseline=none", r"reward\.baseline_samples: has no effect"),
        ("model.revision=abc", r"model\.revision: has no effect unless"),
        ("ppo.minibatches=5", r"ppo\.minibatches: 5 does not divide ppo\.episodes_per_update = 64"),
        ("ppo.minibatches=32", r"ppo\.minibatches: leaves 2 episodes per minibatch"),
        ("kl.target=20", r"kl\.target: 20 must lie below kl\.stop_at = 12"),
        ("evaluation.temperature=0", r"evaluation\.samples_per_prompt: at temperature 0"),
        ("goal=''", r"goal: must be one plain sentence"),
        ("name=a/b", r"name: must be usable as a folder name"),
        ("goal=${oc.decode:HOME}", r"goal: '\$\{oc\.decode:HOME\}' calls a resolver; write the value itself"),
        ("reward.terms.x.weigt=1", r"reward\.terms\.x\.weigt: no such key; did you mean reward\.terms\.x\.weight\?"),
        ("joint_treatment=[kl.coef,kl.taget]", r"joint_treatment: no key 'kl.taget'; did you mean kl.target\?"),
        ("joint_treatment=[kl.coef,kl.coef]", r"joint_treatment: kl.coef is named twice"),
        ("joint_treatment=[kl.coef,seed]", r"joint_treatment: seed is no treatment"),
        ("joint_treatment=[kl.coef,prompts.eval]", r"joint_treatment: prompts.eval is no treatment"),
        ("joint_treatment=[kl.coef]", r"joint_treatment: kl.coef alone counts as one treatment anyway"),
        ("joint_treatment=null", r"joint_treatment: must be a list, as \[a, b\], got null"),
        ("tracking=[tensorbord]", r"tracking: no tracker 'tensorbord'; did you mean tensorboard\?"),
        ("tracking=[zzz]", r"tracking: no tracker 'zzz'; there are tensorboard, wandb, trackio, mlflow, swanlab\."),
        ("tracking=[wandb,wandb]", r"tracking: wandb is named twice"),
        ("tracking=wandb", r"tracking: must be a list"),
        ("tracking=[[wandb]]", r"tracking\[0\]: must be a text, got \['wandb'\]"),
        ("tracking=null", r"tracking: must be a list, as \[a, b\], got null"),
        ("tracking=['${oc.decode:HOME}']", r"tracking\[0\]: '\$\{oc\.decode:HOME\}' calls a resolver"),
        ("name=5", r"name: must be a text, got 5; put it in quotes"),
        ("kl.coef='1'", r"kl\.coef: must be a number, got the text '1'; leave the quotes out"),
        ("kl.coef=???", r"kl\.coef: missing \(Penalty per nat"),
        (
            "kl.target=${kl.coeff}",
            r"kl\.target: '\$\{kl\.coeff\}' refers to no key of this config; did you mean kl\.coef\?",
        ),
        ("kl.target=${kl.target}", r"kl\.target: '\$\{kl\.target\}' refers to itself"),
        ("kl.target=${ppo}", r"kl\.target: '\$\{ppo\}' refers to a group of keys; name one key inside it"),
        ("kl.target=${kl}", r"kl\.target: '\$\{kl\}' refers to the group of keys that it is part of"),
        ("goal=${kl.coef", r"override 'goal=\$\{kl\.coef' is not readable"),
        ("tracking=[['${oc.decode:HOME}']]", r"tracking\[0\]\[0\]: '\$\{oc\.decode:HOME\}' calls a resolver"),
        (
            "prompts.train=hf:org/name:train",
            r"prompts\.train: must be a file, got the dataset hf:org/name:train; `ppo init blank FOLDER --from-dataset "
            "hf:org/name:train` writes its prompts into files",
        ),
        ("model.warm_start=hf:org/name", r"model\.warm_start: must be a file, got hf:org/name; download it"),
        ("prompts.eval=https://a.b/c.jsonl", r"prompts\.eval: must be a file, got https://a\.b/c\.jsonl; download it"),
        (
            "reward.terms.a.type=preference reward.terms.a.pairs=hf:org/name",
            r"reward\.terms\.a\.pairs: must be a file, got hf:org/name; download it",
        ),
        ("novalue", r"override 'novalue' is not of the form NAME=VALUE"),
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
        (
            "name: x\ngoal: y\n",
            r"(?s)model\.start: missing \(builtin.*prompts\.train: missing \(.*prompts\.eval: missing",
        ),
        (BASE + "kl: {coef: -1}\nppo: {updates: 0}\n", "2 problems"),
        (BASE + "5: x\n", "5: no such key"),
        ("3\n", "holds a single value"),
        (BASE + "kl:\n", "kl: must be a group of keys, not a value, got null"),
        (BASE + "kl: {coef: a, horizon: b}\nx: 1\n", "(?s)3 problems.*kl.coef: .*kl.horizon: .*x: no such key"),
        (BASE + "kl: {target: '${prompts.eval}x', coef: '${seeed}'}\n", "(?s)2 problems.*kl.coef: .*kl.target: "),
        (BASE + "x: !!set {a, b}\n", "not readable as YAML: Value 'set'"),
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
    resolved.write_text(to_yaml(experiment), encoding="utf-8")
    assert load_frozen(resolved) == experiment
    assert to_dict(load_frozen(resolved)) == to_dict(experiment)
    assert load_experiment(resolved).experiment == experiment


def test_a_key_may_refer_to_another(write):
    text = BASE + "kl: {coef: 0.3, target: '${kl.coef}'}\nrollout: {max_new_tokens: '${evaluation.max_new_tokens}'}\n"
    experiment = load_experiment(write(text)).experiment
    assert (experiment.kl.target, experiment.rollout.max_new_tokens) == (0.3, 48)
    assert load_experiment(write(text), ["kl.coef=0.5"]).experiment.kl.target == 0.5
    terms = "reward: {terms: {length_band: {max: 9, min: '${.margin}', margin: 4}, x: {type: on_topic, weight: 0.5}}}\n"
    loaded = load_experiment(
        write(text.replace("reward: {terms: {matches_expect: {weight: 1.0}}}\n", terms)),
        ["reward.terms.ends_turn.weight=${reward.terms.x.weight}", "seed=${reward.terms.length_band.min}"],
    )
    assert loaded.experiment.reward.terms["ends_turn"].weight == 0.5
    assert loaded.experiment.seed == 4


def test_a_path_may_refer_to_another_key(write, tmp_path):
    text = BASE.replace("eval: eval.jsonl", "eval: '${prompts.train}'").replace("train.jsonl", "'${name}/train.jsonl'")
    prompts = load_experiment(write(text)).experiment.prompts
    assert prompts.train == prompts.eval == str(tmp_path / "refusal" / "train.jsonl")


def test_an_override_may_give_what_the_file_lacks(write):
    text = BASE.replace("goal: Refuse what harms.\n", "kl: {coef: -1}\n")
    experiment = load_experiment(write(text), ["goal=Help.", "kl.coef=1"]).experiment
    assert (experiment.goal, experiment.kl.coef) == ("Help.", 1.0)


@pytest.mark.parametrize(
    "goal",
    [
        "costs ${x}",
        r"a \${x} b",
        r"a \\${kl.coef}",
        "${oc.env:HOME}",
        "1e5",
        "010",
        "yes",
        "null",
        "2026-01-01",
        "a: b #",
        " ",
    ],
)
def test_every_text_is_read_as_it_was_written(goal, tmp_path):
    experiment = Experiment(
        name="x",
        goal=f"{goal}.",
        parent=goal,
        model=Model(start="builtin:x"),
        prompts=Prompts(train=str(tmp_path / "t"), eval=str(tmp_path / "e")),
        reward={"terms": {"ends_turn": {}}},
    )
    (tmp_path / "c.yaml").write_text(to_yaml(experiment), encoding="utf-8")
    assert load_frozen(tmp_path / "c.yaml") == load_experiment(tmp_path / "c.yaml").experiment == experiment


def test_an_experiment_cannot_be_changed_and_can_be_sent_to_another_process(write):
    experiment = load_experiment(write(BASE)).experiment
    with pytest.raises(ValidationError, match="frozen"):
        experiment.kl.coef = 1.0
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    assert hash(experiment.kl) == hash(Kl(coef=0.15))


@pytest.mark.parametrize("override", ["tracking={a: 1}", "kl=[1]", "reward.terms=[1]", "model.train.lora=[1]"])
def test_a_value_of_another_shape_beside_a_reference_is_named(write, override):
    with pytest.raises(ConfigError, match="must be"):
        load_experiment(write(BASE), [override, "goal=${name}"])


@pytest.mark.parametrize("override", ["[w=0", "a[=1", "]=1", "a[b=1"])
def test_an_override_whose_key_has_brackets_is_no_key(write, override):
    with pytest.raises(ConfigError):
        load_experiment(write(BASE), [override])


@pytest.mark.parametrize("path", ["好" * 300, "~nobody-of-this-name/x"])
def test_a_path_that_cannot_be_looked_up_is_taken_as_it_is(write, path):
    experiment = load_experiment(write(BASE), [f"model.start={path}", f"prompts.train={path}"]).experiment
    assert experiment.prompts.train.endswith(path)
