"""docs/rewards.md names every type with its parameters, and its examples load."""

import re
from pathlib import Path

import pytest
import yaml

from ppo_cli.experiment.schema import Reward
from ppo_cli.experiment.term_types import TERM_TYPES, RewardTerm

PAGE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")
AS_ABOVE = {"batch_size", "max_tokens"}


@pytest.mark.parametrize("name", TERM_TYPES)
def test_every_type_has_a_row_with_its_parameters(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", row)) | (AS_ABOVE if "as above" in row else set())
    assert set(TERM_TYPES[name].model_fields) - set(RewardTerm.model_fields) <= named


def test_every_example_is_a_term():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    terms = {}
    for example in examples:
        tree = yaml.safe_load(example)
        terms |= tree.get("reward", tree)["terms"]
    assert {"python", "classifier", "preference", "http"} <= {term.get("type") for term in terms.values()}
    assert Reward(terms=terms).terms.keys() == terms.keys()
