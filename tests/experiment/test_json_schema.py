"""The JSON Schema of a config, as an editor uses it."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

from ppo_cli.experiment.json_schema import json_schema
from ppo_cli.experiment.schema_index import schema_keys
from ppo_cli.experiment.term_types import TERM_TYPES

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


@pytest.fixture(scope="module")
def mistakes():
    """What an editor would underline: where, and why."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return lambda tree: [
        (".".join(map(str, error.absolute_path)), error.message) for error in validator.iter_errors(tree)
    ]


@pytest.fixture
def changed():
    """A shipped config with the value of one key changed."""
    config = yaml.safe_load(CONFIGS[0].read_text(encoding="utf-8"))

    def change(path, value):
        tree = copy.deepcopy(config)
        *groups, name = path.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = value
        return tree

    return change


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_shipped_config_is_valid(mistakes, config):
    assert mistakes(yaml.safe_load(config.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kl.coef", 1),
        ("kl.coef", "${ppo.gamma}"),
        ("kl.estimator", "${name}"),
        ("kl.target", None),
        ("model.train.lora", None),
        ("tracking", ["wandb"]),
        ("reward.terms.length_band", {"max": 3}),
        ("reward.terms.length_band", {"type": "format", "form": "json"}),
        ("reward.terms.brief", {"type": "length_band", "max": 3}),
        ("reward.terms.mine", {"type": "python", "function": "a.py:b", "whatever": [1, 2]}),
    ],
)
def test_what_is_right_is_not_underlined(mistakes, changed, path, value):
    assert mistakes(changed(path, value)) == []


@pytest.mark.parametrize(
    ("tree", "wrong"),
    [
        ({"base": "refusal.yaml"}, []),
        ({"base": "refusal.yaml", "prompts": {"eval": "mine.jsonl"}, "model": {"dtype": "auto"}}, []),
        ({"base": "refusal.yaml", "reward": {"terms": {"ends_turn": None, "brief": {"max": 3}, "x": None}}}, []),
        ({"base": "refusal.yaml", "kl": {"coeff": 1}}, ["kl"]),
        ({"base": "refusal.yaml", "reward": {"terms": {"ends_turn": {"max": 3}}}}, ["reward.terms.ends_turn"]),
        ({"base": 3}, ["base"]),
        ({"name": "x"}, [""] * 4),
    ],
)
def test_a_config_with_a_base_need_not_give_what_is_required(mistakes, tree, wrong):
    assert [where for where, _ in mistakes(tree)] == wrong


@pytest.mark.parametrize(
    ("path", "value", "where", "message"),
    [
        ("kl.coeff", 1, "kl", "'coeff' was unexpected"),
        ("x", 1, "", "'x' was unexpected"),
        ("kl.coef", -1, "kl.coef", "less than the minimum"),
        ("kl.coef", "much", "kl.coef", "does not match"),
        ("kl.coef", None, "kl.coef", "is not of type"),
        ("kl.estimator", "k2", "kl.estimator", "'k2' is not valid"),
        ("tracking", ["wanb"], "tracking.0", "is not one of"),
        ("reward.terms", {}, "reward.terms", "non-empty"),
        ("reward.terms.ends_turn", {"wieght": 1}, "reward.terms.ends_turn", "'wieght' was unexpected"),
        ("reward.terms.length_band", {}, "reward.terms.length_band", "'max' is a required property"),
        ("reward.terms.brief", {"max": 3}, "reward.terms.brief", "'type' is a required property"),
        ("reward.terms.brief", {"type": "length"}, "reward.terms.brief.type", "is not one of"),
        ("reward.terms.brief", {"type": "ends_turn", "max": 3}, "reward.terms.brief", "'max' was unexpected"),
        ("reward.terms.mine", {"type": "python", "function": "a:b", "x": {}}, "reward.terms.mine.x", "is not of type"),
    ],
)
def test_what_is_wrong_is_underlined(mistakes, changed, path, value, where, message):
    (mistake,) = mistakes(changed(path, value))
    assert mistake[0] == where
    assert message in mistake[1]


def test_every_key_is_explained_with_its_default():
    schema = json_schema()
    assert schema["title"]
    for path, key in schema_keys().items():
        if "*" in path:
            continue
        *groups, name = path.split(".")
        node = schema
        for group in groups:
            node = node["properties"][group]
            reference = node.get("$ref") or node["anyOf"][0]["$ref"]
            node = schema["$defs"][reference.rpartition("/")[2]]
        assert node["properties"][name]["description"] == key.doc
        assert node["properties"][name].get("default") == key.default
    for model in TERM_TYPES.values():
        for about in schema["$defs"][model.__name__]["properties"].values():
            assert about["description"]
