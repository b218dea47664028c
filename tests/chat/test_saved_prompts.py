"""Turns that are saved are rows of a prompt file that every command reads."""

import json

import pytest

from ppo_cli.chat.saved_prompts import save_turn
from ppo_cli.errors import PromptError, UsageError
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import ChatMessage
from ppo_cli.records.chat import ChatAnswer, ChatTurn


def turn(prompt):
    answers = tuple(
        ChatAnswer(model=name, text=f"{name} says\nso", reasoning="", finish="eos") for name in ("start", "policy")
    )
    return ChatTurn(conversation=1, prompt=prompt, answers=answers)


def said(*texts):
    return [ChatMessage(role=("user", "assistant")[index % 2], content=text) for index, text in enumerate(texts)]


def test_a_prompt_and_all_answers_are_appended_and_read_back(tmp_path):
    path = tmp_path / "new" / "mine.jsonl"
    first = save_turn(path, turn("a brick?"), said("a brick?", "yes"), None)
    second = save_turn(path, turn("a brick?"), said("a brick?", "yes"), None)
    third = save_turn(path, turn("and then?"), said("a brick?", "yes", "and then?", "no"), "be brief")
    prompts = read_prompts(path)
    assert [prompt.id for prompt in prompts] == [first, second, third]
    assert len({first, second, third}) == 3
    assert prompts[0].text == "a brick?"
    assert [message.role for message in prompts[2].chat] == ["system", "user", "assistant", "user"]
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert row["answers"] == [
        {"model": "start", "answer": "start says\nso"},
        {"model": "policy", "answer": "policy says\nso"},
    ]
    assert "answer" not in row  # which would be a written answer to learn from


def test_a_file_without_a_last_line_end_keeps_its_last_row(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "a", "prompt": "hello"}', encoding="utf-8")
    save_turn(path, turn("a brick?"), said("a brick?", "yes"), None)
    assert [prompt.text for prompt in read_prompts(path)] == ["hello", "a brick?"]


def test_a_file_of_something_else_is_left_as_it_is(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text("my notes\n", encoding="utf-8")
    with pytest.raises(PromptError):
        save_turn(path, turn("a brick?"), said("a brick?", "yes"), None)
    assert path.read_text(encoding="utf-8") == "my notes\n"
    with pytest.raises(UsageError, match=r"\.jsonl"):
        save_turn(tmp_path / "mine.csv", turn("a brick?"), said("a brick?", "yes"), None)
