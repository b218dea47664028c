"""The loop of `ppo label`: one key per answer, and a word about every other key."""

import io
from types import SimpleNamespace

import pytest

from ppo_cli.cli import label
from ppo_cli.cli.terminal import new_console
from ppo_cli.records.answers import Answer


class Session:
    """Two answers to label, and what was done with them."""

    def __init__(self):
        self.items, self.position, self.labels = ["a", "b"], 0, []

    @property
    def current(self):
        if self.position == len(self.items):
            return None
        answer = Answer(text="<think>hm, well</think>yes", token_count=9, finish="eos")
        return SimpleNamespace(sample=SimpleNamespace(answer=answer), prompt=SimpleNamespace(text="Well?"))

    def add(self, judgement):
        self.labels.append(judgement)
        self.position += 1

    def back(self):
        self.position -= 1


@pytest.mark.parametrize("wrong", ["4", "11", "x", "[bold]", "\x1b[2J", "３"])
def test_an_invalid_key_is_named_with_the_keys_there_are(monkeypatch, wrong):
    keys, stream, session = iter([wrong, "1", "Q"]), io.StringIO(), Session()
    console = new_console(file=stream)
    monkeypatch.setattr(console, "input", lambda prompt: next(keys))
    label._ask(session, console)
    assert session.labels == ["comply"]
    shown = stream.getvalue()
    assert "is none of the keys: 1 complies" in shown
    assert "[after 2 words of reasoning] yes" in shown
    assert "hm, well" not in shown
    assert shown.isascii() or "\x1b" not in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
