"""The tokens of an answer are counted without those of its reasoning, by every measure and term."""

from dataclasses import replace

import pytest

from ppo_cli.behaviours.label_answers import label_sample
from ppo_cli.experiment.term_types import LengthBand
from ppo_cli.models.loading import ChatTokenizer
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import Sample
from ppo_cli.rewards.parametric_terms import length_band
from ppo_cli.rewards.python_function import COLUMNS
from ppo_cli.store.answer_rows import sample_from_row, sample_to_row
from tests.tiny_models import TEMPLATE, tiny_tokenizer

EOS = 2
TAGS = ("<think>", "</think>")
PROMPT = Prompt(id="p", text="where?", category="x", expect="any")


def tokenizer(*, special=False, template=TEMPLATE, tags=TAGS):
    made = tiny_tokenizer()
    if special:
        made.add_special_tokens({"additional_special_tokens": ["<user>", "<assistant>", *tags]})
    else:
        made.add_tokens(list(tags))
    made.chat_template = template
    return ChatTokenizer(made, 0, (EOS,), None)


def ids(chat, text, *, ended=True):
    return [*chat.tokenizer(text, add_special_tokens=False)["input_ids"], *([EOS] if ended else [])]


@pytest.mark.parametrize(
    ("text", "ended", "answer", "own"),
    [
        ("paris", True, "paris", 6),
        ("<think>a b</think>paris", True, "paris", 6),
        ("<think>paris</think> paris", True, "paris", 6),
        ("<think></think>hi", True, "hi", 3),
        ("<think>a b c", False, "", 0),
        ("<think>a b</think>", True, "", 1),
        ("<think>a b</think>par", False, "par", 3),
        ("a</think>paris", True, "paris", 6),
    ],
)
def test_tokens_before_the_answer_are_not_its_own(text, ended, answer, own):
    chat = tokenizer()
    token_ids = ids(chat, text, ended=ended)
    made = chat.answer_of(token_ids, "eos" if ended else "length")
    assert (made.text, made.answer_tokens, made.token_count) == (answer, own, len(token_ids))


def test_reasoning_within_an_answer_is_left_out_by_its_share():
    chat = tokenizer()
    made = chat.answer_of(ids(chat, "ab<think>cd</think>ef"), "eos")
    assert (made.text, made.reasoning) == ("abef", "cd")
    assert 1 <= made.answer_tokens < made.token_count


def test_reasoning_that_the_template_opens_is_not_counted():
    chat = tokenizer(template=TEMPLATE.replace("'<assistant>'", "'<assistant><think>'"))
    made = chat.answer_of(ids(chat, "so so</think>paris"), "eos")
    assert (made.reasoning, made.answer_tokens) == ("so so", 6)


def test_tags_that_are_special_tokens_are_found_too():
    chat = tokenizer(special=True, tags=("[THINK]", "[/THINK]"))
    made = chat.answer_of(ids(chat, "[THINK]a b[/THINK]paris"), "eos")
    assert (made.text, made.reasoning, made.answer_tokens) == ("paris", "a b", 6)


def test_measures_terms_and_functions_count_the_answer_alone():
    chat = tokenizer()
    answers = [chat.answer_of(ids(chat, text), "eos") for text in ("paris", "<think>a b c d e</think>paris")]
    band = length_band(LengthBand(type="length_band", min=6, max=6, margin=1, unit="tokens", weight=1.0))
    assert [band(PROMPT, answer) for answer in answers] == [1.0, 1.0]
    assert COLUMNS["tokens"]([PROMPT] * 2, answers, []) == [6, 6]
    samples = [Sample(prompt_id="p", index=index, answer=answer, kl=None) for index, answer in enumerate(answers)]
    plain, reasoned = (dict(row.labels) for row in label_sample([PROMPT], samples))
    assert (plain.pop("reasoning_words"), reasoned.pop("reasoning_words")) == (0.0, 5.0)
    assert plain == reasoned


def test_the_count_is_kept_in_records():
    chat = tokenizer()
    answer = chat.answer_of(ids(chat, "<think>a b</think>paris"), "eos")
    sample = Sample(prompt_id="p", index=0, answer=answer, kl=0.5)
    assert sample_from_row(sample_to_row(sample)) == sample
    empty = replace(sample, answer=chat.answer_of(ids(chat, "<think></think>paris"), "eos"))
    assert sample_from_row(sample_to_row(empty)) == empty
