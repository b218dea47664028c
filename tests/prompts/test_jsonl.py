"""Prompt files: what is read, and how a broken line is named."""

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.jsonl import as_row
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt

GOOD = '{"id": "a", "prompt": "hello"}\n'


def write(tmp_path, text):
    path = tmp_path / "p.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_defaults_and_all_fields(tmp_path):
    row = '{"id": "b", "prompt": "你好", "category": "c.d", "expect": "refuse", "pair_id": "p", "answer": "no"}\n'
    first, second = read_prompts(write(tmp_path, GOOD + "\n" + row))
    assert first == Prompt(id="a", text="hello")
    assert second == Prompt(id="b", text="你好", category="c.d", expect="refuse", pair_id="p", answer="no")
    assert as_row(second)["expect"] == "refuse"
    assert "answer" not in as_row(first)


def test_keywords_are_a_list_and_absent_from_a_row_without_any(tmp_path):
    row = '{"id": "b", "prompt": "x", "keywords": ["steam", "boil*"]}\n'
    without, with_keywords = read_prompts(write(tmp_path, GOOD + row))
    assert with_keywords.keywords == ("steam", "boil*")
    assert as_row(with_keywords)["keywords"] == ["steam", "boil*"]
    assert "keywords" not in as_row(without)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    assert len(read_prompts(write(tmp_path, b"\xef\xbb\xbf" + GOOD.strip().encode() + b"\r\n"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "{broken\n", r"line 2: not valid JSON: .* at column 2"),
        (GOOD + "[1]\n", "line 2: is not a JSON object"),
        (GOOD + '{"id": "b"}\n', "line 2: has no `prompt`"),
        (GOOD + '{"id": "b", "prompt": "  "}\n', "line 2: `prompt` is empty"),
        (GOOD + '{"id": "", "prompt": "x"}\n', "line 2: `id` is empty"),
        (GOOD + "\n" + GOOD, "line 3: id 'a' was already used on line 1"),
        (GOOD + '{"id": true, "prompt": "x"}\n', "line 2: `id` must be text, got true"),
        (GOOD + '{"id": "b", "prompt": 5}\n', "line 2: `prompt` must be text, got 5"),
        (GOOD + '{"id": "b", "prompt": "x", "expect": 1}\n', "line 2: `expect` is 1"),
        (GOOD + '{"id": "b", "prompt": "x", "expect": 0}\n', "line 2: `expect` is '0'"),
        (GOOD + '{"id": "b", "prompt": "x", "expect": "maybe"}\n', "line 2: `expect` is 'maybe'"),
        (GOOD + '{"id": "b", "prompt": "x", "keywords": 5}\n', "line 2: `keywords` must be a list of words"),
        (GOOD + '{"id": "b", "prompt": "x", "keywords": ["*"]}\n', "line 2: `keywords` must be a list of words"),
        ("\n", "holds no prompts"),
        (b"\xff\xfe", "holds no prompts"),
    ],
)
def test_an_error_names_the_line(tmp_path, text, message):
    with pytest.raises(PromptError, match=message):
        read_prompts(write(tmp_path, text))


def test_missing_answers_are_named(tmp_path):
    with pytest.raises(PromptError, match="line 1: has no `answer`"):
        read_prompts(write(tmp_path, GOOD), need_answers=True)


def test_no_file_and_a_directory(tmp_path):
    with pytest.raises(PromptError, match="no such prompt file"):
        read_prompts(tmp_path / "none.jsonl")
    with pytest.raises(PromptError, match="is a directory"):
        read_prompts(tmp_path)
