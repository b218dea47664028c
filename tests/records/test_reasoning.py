"""Reasoning is separated from the answer once, wherever an answer is made."""

import pytest

from ppo_cli.records.answers import Answer
from ppo_cli.records.reasoning import after_reasoning, ends_in_reasoning, split_reasoning


@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "answer"),
    [
        ("<think>a b</think> Paris", False, "a b", "Paris"),
        ("a b</think>\nParis", False, "a b", "Paris"),
        ("a b</think>\nParis", True, "a b", "Paris"),
        ("<think>a b", False, "a b", ""),
        ("a b", True, "a b", ""),
        ("<Reasoning>q</Reasoning>z", False, "q", "z"),
        ("<thought>q</thought>z", False, "q", "z"),
        ("[THINK]a[/THINK]b", False, "a", "b"),
        ("<think></think>\n\nHi", False, "", "Hi"),
        ("<think>a</think>x <think>b</think>y", False, "a\nb", "x y"),
        ("<think>" + "a " * 9000 + "</think>b", False, ("a " * 9000).strip(), "b"),
        ("Use the `<think>` tag.", False, "", "Use the `<think>` tag."),
        ("Use the <think> tag.", False, "", "Use the <think> tag."),
        (" plain < 3 ", False, "", " plain < 3 "),
    ],
)
def test_the_answer_is_what_follows_the_reasoning(text, opened, reasoning, answer):
    assert split_reasoning(text, opened=opened) == (reasoning, answer)


def test_an_answer_holds_no_reasoning_however_it_is_made():
    answer = Answer(text="<think>No, sorry.</think>It is far.", token_count=9, finish="eos")
    assert (answer.text, answer.reasoning) == ("It is far.", "No, sorry.")
    assert Answer(text="It is far.", token_count=9, finish="eos").reasoning == ""


def test_a_template_that_opens_reasoning_is_seen():
    assert ends_in_reasoning("<user>hi<assistant><think>\n")
    assert not ends_in_reasoning("<user>hi<assistant><think>\n\n</think>\n\n")
    assert not ends_in_reasoning("<user>hi<assistant>")


def test_tokens_of_reasoning_that_nobody_counted_are_estimated_from_its_characters():
    answer = Answer(text="<think>abcdef</think>gh", token_count=16, finish="eos")
    assert (answer.reasoning_tokens, answer.answer_tokens) == (12, 4)
    counted = Answer(text="gh", token_count=16, finish="eos", reasoning="abcdef", reasoning_tokens=11)
    assert counted.answer_tokens == 5


def test_an_example_says_that_reasoning_came_before_it():
    assert after_reasoning(12.0, "Paris.") == "[after 12 words of reasoning] Paris."
    assert after_reasoning(3, "") == "[after 3 words of reasoning]"
    assert after_reasoning(0, "Paris.") == "Paris."
