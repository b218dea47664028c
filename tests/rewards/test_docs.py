"""docs/rewards.md names every type with its parameters, and its examples load; so do those of docs/measures.md."""

import re
from pathlib import Path

import pytest
import yaml

from ppo_cli.experiment.measure_types import OwnMeasure
from ppo_cli.experiment.schema import Evaluation, Reward
from ppo_cli.experiment.term_types import TERM_TYPES, RewardTerm

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "rewards.md").read_text(encoding="utf-8")
MEASURES_PAGE = (DOCS / "measures.md").read_text(encoding="utf-8")
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


def test_every_example_of_a_measure_is_one():
    examples = re.findall(r"```yaml\n(.*?)```", MEASURES_PAGE, re.DOTALL)
    trees = [
        yaml.safe_load(text if text.startswith("evaluation:") else f"evaluation:\n  measures:\n{text}")
        for text in examples
    ]
    measures = [Evaluation(**tree["evaluation"]).measures for tree in trees]
    types = {one.type for named in measures for one in named.values()}
    assert {"python", "classifier", "format", "judge", "lm_eval"} <= types


def test_the_page_of_measures_names_what_every_measure_has():
    for name in set(OwnMeasure.model_fields) - set(RewardTerm.model_fields):
        assert re.search(rf"^\| `{name}` \|", MEASURES_PAGE, re.MULTILINE), name
