"""docs/reference/ is what the code says, and the pages written by hand name what the code has."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from ppo_cli.alarms import ALARMS
from ppo_cli.cli import COMMANDS
from ppo_cli.experiment.schema_index import schema_keys
from ppo_cli.records.training import UpdateMetrics

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "site/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference):
    return reference.pages()


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_pages_are_what_the_code_says(pages):
    assert {path.name for path in (DOCS / "reference").iterdir()} == set(pages)
    for name, text in pages.items():
        assert page(f"reference/{name}") == text, "write it anew with: make reference"


def test_every_key_command_metric_and_alarm_is_there(pages):
    keys = {path.rpartition(".")[2] for path in schema_keys()}
    assert keys <= set(re.findall(r"^\| `(\w+)` \|", pages["config-keys.md"], re.MULTILINE))
    for command in COMMANDS:
        assert f"## `ppo {command}`\n" in pages["command-options.md"]
    for field in fields(UpdateMetrics):
        assert f"| `{field.name}` |" in pages["metric-keys.md"]
    for alarm in ALARMS:
        assert f"(`{alarm}`)\n" in pages["alarm-thresholds.md"]
    for name, text in pages.items():
        assert not re.search(r"\|  \|", text), f"{name}: a cell is empty"


def test_a_key_has_its_type_range_default_and_role(pages):
    assert "| integer, from 1 to 4 | 1 | frozen |" in pages["config-keys.md"]
    assert "| `auto` or `float32` or `bfloat16` | auto | frozen |" in pages["config-keys.md"]
    assert re.search(r"\| `min` \| .* \| integer, from 0 \| 1 \| treatment \|", pages["config-keys.md"])


def test_the_config_page_names_every_key():
    text = page("config.md")
    named = set(re.findall(r"`([\w.*]+)`", text[text.index("## Keys") : text.index("## A base file")]))
    groups = {name[:-2] for name in named if name.endswith(".*")} | {
        "reward.terms",
        "evaluation.measures",
        "model.train.lora",
    }
    missing = [path for path in schema_keys() if path not in named and not any(path.startswith(one) for one in groups)]
    assert missing == []
    known = {*schema_keys(), "reward.terms", "evaluation.measures", "model.train.lora"}
    first_cells = re.findall(
        r"^\| (`[^|]*) \|", text[text.index("## Keys") : text.index("## A base file")], re.MULTILINE
    )
    for name in re.findall(r"`([\w.]+)`", " ".join(first_cells)):
        assert name in known, name


def test_the_pages_written_by_hand_name_every_command_metric_and_alarm():
    commands, metrics, alarms = page("commands.md"), page("metrics.md"), page("alarms.md")
    assert [name for name in COMMANDS if not re.search(rf"^## `ppo {name}\b", commands, re.MULTILINE)] == []
    assert [field.name for field in fields(UpdateMetrics) if not re.search(rf"`{field.name}\b", metrics)] == []
    assert [alarm for alarm in ALARMS if f"(`{alarm}`)" not in alarms] == []


def test_only_what_takes_a_value_shows_one(reference):
    assert reference._value(None) == "null"
    assert reference._value(True) == "true"
    assert reference._value(()) == "[]"
    assert reference._value(3e-4) == "0.0003"
    assert reference._value({"length.empty": 0.1}) == "length.empty 0.1"
