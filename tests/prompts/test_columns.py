"""Columns of many tools make whole prompts, and what is taken for what or left out is said with its rows."""

import json

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.prompt_files import read_prompt_file, read_prompts
from ppo_cli.records.answers import ChatMessage


@pytest.fixture
def read(tmp_path):
    def read(rows, name="mine.jsonl"):
        path = tmp_path / name
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
        return read_prompt_file(path)

    return read


def turns(prompt):
    return [(turn.role, turn.content) for turn in prompt.messages]


def said(file):
    return " ".join(file.notices)


def test_an_instruction_and_its_input_make_one_prompt(read):
    rows = [{"instruction": "Shorten.", "input": text, "output": "x"} for text in ("A long line.", "Another.", "")]
    file = read(rows)
    assert [prompt.text for prompt in file.prompts] == ["Shorten.\n\nA long line.", "Shorten.\n\nAnother.", "Shorten."]
    assert [prompt.answer for prompt in file.prompts] == ["x", "x", "x"]
    assert "`instruction` and `input` make one prompt (2 of 3 rows)" in said(file)
    assert "`output` is taken for `answer`" in said(file)


def test_system_and_history_of_their_own_columns_are_earlier_turns(read):
    row = {"instruction": "And now?", "system": "Be kind.", "history": [["Hello.", "Hi."]]}
    assert turns(read([row]).prompts[0]) == [
        ("system", "Be kind."),
        ("user", "Hello."),
        ("assistant", "Hi."),
        ("user", "And now?"),
    ]


CHAT = [
    {"role": "system", "content": "Answer as a pirate."},
    {"role": "user", "content": "Tell me of the lamp."},
    {"role": "assistant", "content": "Arr."},
    {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "that one?"}]},
]


def test_a_conversation_is_taken_whole(read):
    file = read([{"messages": CHAT}])
    prompt = file.prompts[0]
    assert turns(prompt)[0] == ("system", "Answer as a pirate.")
    assert turns(prompt)[-1] == ("user", "And\nthat one?")
    assert all(turn["role"] in prompt.text for turn in CHAT)
    assert "A system turn is part of the prompt" in said(file)
    assert "Earlier turns are part of the prompt (1 of 1 rows)" in said(file)


def test_what_the_assistant_says_last_is_the_answer(read):
    file = read([{"conversations": [{"from": "human", "value": "where?"}, {"from": "gpt", "value": "there"}]}])
    assert (file.prompts[0].text, file.prompts[0].answer, file.prompts[0].messages) == ("where?", "there", ())
    assert "What the assistant says last is taken for `answer` (1 of 1 rows)" in said(file)


def test_parts_that_are_no_text_are_named_with_their_rows(read):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]
    file = read([{"prompt": [{"role": "user", "content": parts}]}, {"prompt": "plain"}])
    assert [prompt.text for prompt in file.prompts] == ["What is this?", "plain"]
    assert "left out: image_url (1 of 2 rows)" in said(file)


def test_a_conversation_in_a_cell_of_a_table_is_read(read):
    for text in (json.dumps(CHAT), json.dumps(CHAT, indent=1), repr(CHAT)):
        cell = text.replace('"', '""')
        assert len(read(f'prompt,expect\n"{cell}",comply\n', "mine.csv").prompts[0].messages) == 4


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        ([{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}], "turn 2: is spoken by 'tool'"),
        ([{"content": "a"}], "turn 1: does not say who speaks"),
        ([{"role": "assistant", "content": "a"}], "has no `prompt`"),
        ([{"role": "user", "content": {"a": 1}}], "turn 1: its content is not text"),
        ([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}], "a system turn follows"),
    ],
)
def test_a_conversation_that_cannot_be_a_prompt_is_named(read, chat, message):
    with pytest.raises(PromptError, match=message):
        read([{"prompt": chat}])


@pytest.mark.parametrize(
    ("heading", "guessed"),
    [("Prompt", False), (" PROMPT ", False), ("question", True), ("用户问题", True), ("User question", True)],
)
def test_other_names_of_the_prompt_column_are_recognised(read, heading, guessed):
    file = read(f"{heading},Category,答案\none,x,y\n", "mine.csv")
    assert (file.prompts[0].text, file.prompts[0].category, file.prompts[0].answer) == ("one", "x", "y")
    assert ("is taken for the prompt" in said(file)) == guessed


def test_columns_that_are_not_read_are_named_with_their_rows(read):
    file = read("prompt,mood,note\none,fine,\ntwo,,\n", "mine.csv")
    assert file.notices == ("Not read: column `mood` (1 rows).",)


@pytest.mark.parametrize(
    ("values", "expects", "notice"),
    [
        (("unsafe", "Safe"), ["refuse", "comply"], "taken for `expect`: safe as comply, unsafe as refuse"),
        (("refuse", "any"), ["refuse", "any"], "taken for `expect`."),
        ((0, 1), ["any", "any"], "does not say what to expect and is not read"),
    ],
)
def test_a_column_of_labels_is_never_ignored_in_silence(read, values, expects, notice):
    file = read([{"prompt": f"p{index}", "label": value} for index, value in enumerate(values)])
    assert [prompt.expect for prompt in file.prompts] == expects
    assert notice in said(file)


def test_numbers_as_ids_missing_ids_capitals_and_nan(read):
    rows = '{"id": 1, "prompt": "a", "expect": "Refuse"}\n{"prompt": "b", "expect": NaN}\n'
    file = read(rows)
    assert [(prompt.id, prompt.expect) for prompt in file.prompts] == [("1", "refuse"), ("mine-0002", "any")]


def test_a_copy_of_any_form_gives_the_same_prompts(read, tmp_path):
    for rows in ([{"messages": CHAT, "id": "a"}], "question;answer\nwhere?;there\n"):
        file = read(rows, "mine.csv" if isinstance(rows, str) else "mine.jsonl")
        (tmp_path / "train.jsonl").write_text(file.text, encoding="utf-8")
        assert read_prompts(tmp_path / "train.jsonl") == file.prompts
        assert read_prompt_file(tmp_path / "train.jsonl").text == file.text


def test_a_prompt_file_is_copied_as_it_is(read):
    text = '{"prompt": "b",  "id": "1"}\n\n{"id": "2", "prompt": " c "}\n'
    file = read(text)
    assert file.text == text
    assert file.notices == ()
    assert file.prompts[1].text == " c "


def test_a_single_turn_is_a_plain_prompt(read):
    (prompt,) = read([{"id": "a", "messages": [{"role": "user", "content": "hi"}]}]).prompts
    assert (prompt.text, prompt.messages) == ("hi", ())
    assert prompt.chat == (ChatMessage(role="user", content="hi"),)


def test_no_column_with_prompts_says_which_there_are(read):
    with pytest.raises(PromptError, match="only chosen, rejected") as caught:
        read([{"chosen": "a", "rejected": "b"}])
    assert "Call the column with the user's words `prompt`" in caught.value.next_step
