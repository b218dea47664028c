"""docs/rewards.md names every kind with its parameters, and its examples load."""

import re
from pathlib import Path

import pytest
import yaml

from ppo_cli.experiment.schema import Term
from ppo_cli.experiment.schema_index import keys_in
from ppo_cli.experiment.term_kinds import KINDS
from ppo_cli.experiment.term_parameters import validate

PAGE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")
AS_ABOVE = {"batch_size", "max_tokens"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_row_with_its_parameters(kind):
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", row)) | (AS_ABOVE if "as above" in row else set())
    assert set(keys_in(KINDS[kind])) <= named


def test_every_example_is_a_term():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    terms = {}
    for example in examples:
        tree = yaml.safe_load(example)
        terms |= tree.get("reward", tree)["terms"]
    assert {"python", "classifier", "preference", "http"} <= {term.get("kind") for term in terms.values()}
    for name, term in terms.items():
        given = {key: value for key, value in term.items() if key not in ("kind", "weight", "normalise")}
        _, problems = validate(name, Term(kind=term.get("kind"), weight=term.get("weight", 1.0), parameters=given))
        assert problems == [], name
