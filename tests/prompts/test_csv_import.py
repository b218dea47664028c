"""CSV files of users: every guess is reported, and what cannot be read is one sentence."""

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.csv_import import read_rows, rename_columns


@pytest.fixture
def read(tmp_path):
    def read(content, name="mine.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(path)

    return read


def prompts(rows):
    return [row["prompt"] for _, row in rows]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_separator_is_found(read, mark):
    rows, guesses = read(f'id{mark}prompt\n1{mark}"one, two; three\tfour|five"\n')
    assert prompts(rows) == ["one, two; three\tfour|five"]
    assert bool(guesses) == (mark != ",")


def test_the_most_frequent_separator_of_the_heading_counts(read):
    rows, _ = read("id;prompt;note, if any\n1;one;two\n")
    assert rows[0][1] == {"id": "1", "prompt": "one", "note, if any": "two"}
    rows, _ = read("prompt;expect\none;comply;;\n")
    assert prompts(rows) == ["one"]


def test_the_separator_line_of_a_spreadsheet_is_not_the_heading(read):
    rows, _ = read('sep=;\r\nprompt;expect\r\n"a, b";comply\r\n')
    assert rows[0][1] == {"prompt": "a, b", "expect": "comply"}
    assert rows[0][0].endswith("line 3")


@pytest.mark.parametrize(
    ("encoding", "words", "name"),
    [
        ("utf-8", "grüße 你好", None),
        ("utf-8-sig", "grüße 你好", None),
        ("utf-16", "grüße 你好", "UTF-16"),
        ("cp1252", "l'été à Besançon, “déjà vu”", "Windows-1252"),
        ("cp1252", "Größe", "Windows-1252"),
        ("gb18030", "请问今天天气怎么样？", "GB 18030"),
        ("gb18030", "你好", "GB 18030"),
    ],
)
def test_other_encodings_are_read_and_reported(read, encoding, words, name):
    rows, guesses = read(f'prompt,expect\n"{words}",any\n'.encode(encoding))
    assert prompts(rows) == [words]
    assert guesses == [] if name is None else f"read as {name}" in guesses[0]


def test_lines_are_counted_over_cells_with_line_ends(read):
    rows, _ = read('prompt\n"one\ntwo"\n\nthree\n')
    assert [where.rpartition(" ")[2] for where, _ in rows] == ["2", "4", "5"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04rest", "is a spreadsheet or an archive"),
        (b"a\x00b,c\n", "is not text"),
        (b"prompt,expect\none,two,three\n", "line 2: has 3 cells under 2 headings"),
        (b"prompt,prompt\none,two\n", "two columns are called `prompt`"),
        (b'prompt\n"never closed\n', "line 2: not valid CSV"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(read, content, sentence):
    with pytest.raises(PromptError, match=sentence):
        read(content)


def test_a_file_that_is_not_there_or_a_folder(tmp_path):
    with pytest.raises(PromptError, match="no such file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(PromptError, match="is a directory"):
        read_rows(tmp_path)


def test_a_list_of_prompts_needs_no_quotes(read):
    rows, guesses = read('prompt\nFirst, this, then that.\n"One, two"\n,\n')
    assert [row["prompt"] for _, row in rows] == ["First, this, then that.", "One, two", ","]
    assert guesses == []


def test_empty_cells_beyond_the_headings_do_no_harm(read):
    rows, _ = read("prompt,expect\none,comply,,\n")
    assert rows[0][1] == {"prompt": "one", "expect": "comply"}


@pytest.mark.parametrize(
    ("heading", "guessed"), [("Prompt", False), (" PROMPT ", False), ("question", True), ("Instruction", True)]
)
def test_other_names_of_the_prompt_column_are_recognised(read, heading, guessed):
    rows, guesses = rename_columns(read(f"{heading},Category\none,x\n")[0])
    assert rows[0][1] == {"prompt": "one", "category": "x"}
    assert bool(guesses) == guessed


def test_published_formats_keep_their_columns(read):
    rows, guesses = rename_columns(read("goal,target,text\na,b,c\n")[0])
    assert rows[0][1] == {"goal": "a", "target": "b", "text": "c"}
    assert guesses == []


def test_json_lines_are_read_too(read):
    rows, _ = read('{"prompt": "one"}\n\n{"prompt": "two"}\n', "mine.jsonl")
    assert [(where.rpartition(" ")[2], row["prompt"]) for where, row in rows] == [("1", "one"), ("3", "two")]
