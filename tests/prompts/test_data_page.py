"""Every example of docs/data.md is a file that is read as the page says."""

import json
import re
from pathlib import Path

import pytest

from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.preference_pairs import holds_pairs, read_pair_file
from ppo_cli.prompts.prompt_files import read_prompts

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^`(?P<name>[\w.-]+)`:\n\n(?:```(?:jsonl|json|csv|text)\n(?P<text>(?:(?!```).)*)```\n\n)?```json\n(?P<row>\{[^\n]*\})\n```",
    PAGE,
    re.MULTILINE | re.DOTALL,
)
PYTHON = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_no_example_of_the_page_is_left_out():
    assert len(EXAMPLES) == len(re.findall(r"^`[\w.-]+`:$", PAGE, re.MULTILINE)) >= 18
    assert len(PYTHON) == 1


@pytest.mark.parametrize(("name", "text", "row"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_an_example_is_read_as_the_page_says(name, text, row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text:
        Path(name).write_text(text, encoding="utf-8")
    else:
        exec(PYTHON[0], {})
    first = (
        read_pair_file(Path(name)).pairs[0].as_row() if holds_pairs(Path(name)) else as_row(read_prompts(Path(name))[0])
    )
    said = json.loads(row)
    defaults = {"category": "all", "expect": "any", "pair_id": None, "answer": None, "keywords": []}
    assert {key: first.get(key, defaults.get(key)) for key in said} == said
    assert {key: value for key, value in first.items() if key not in said and value != defaults.get(key)} == {}
