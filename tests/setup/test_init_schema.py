"""What `ppo init` writes for editors: a JSON Schema beside the config, which names it."""

import json

import jsonschema
import pytest
import yaml

from ppo_cli.experiment.json_schema import json_schema
from ppo_cli.experiment.load import load_experiment
from ppo_cli.setup.init import init
from ppo_cli.setup.recipes import recipes
from tests.terminal import refused, succeed


@pytest.mark.parametrize("recipe", recipes())
def test_a_written_config_is_valid_by_the_schema_that_it_names(recipe, tmp_path):
    init(recipe, tmp_path / "exp", fetch_model=False)
    text = (tmp_path / "exp" / "experiment.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=experiment.schema.json\n")
    schema = json.loads((tmp_path / "exp" / "experiment.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(text))


def test_a_goal_that_looks_like_a_reference_is_kept_as_it_is(tmp_path):
    goal = r"Say ${name}, and \${this}."
    init("refusal", tmp_path / "exp", goal=goal, fetch_model=False)
    assert load_experiment(tmp_path / "exp" / "experiment.yaml").experiment.goal == goal


def test_a_schema_of_the_users_own_is_not_overwritten(tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "experiment.schema.json").write_text("{}")
    words = ("init", "refusal", tmp_path / "exp", "--no-fetch-model")
    assert "experiment.schema.json exists already" in refused(*words)
    succeed(*words, "--force")
    assert json.loads((tmp_path / "exp" / "experiment.schema.json").read_text()) == json_schema()


def test_the_schema_is_printed_or_written(tmp_path):
    assert json.loads(succeed("schema").out) == json_schema()
    screen = succeed("schema", "--schema-file", tmp_path / "editor" / "ppo.json")
    assert "# yaml-language-server: $schema=ppo.json" in screen.out
    assert json.loads((tmp_path / "editor" / "ppo.json").read_text()) == json_schema()
    assert "cannot be written" in refused("schema", "--schema-file", tmp_path / "editor" / "ppo.json" / "x")
