"""Files of users: every form is read, every guess is reported, and what cannot be read is one sentence."""

import bz2
import gzip
import json
import lzma

import pandas as pd
import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.table_files import read_rows


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
        ("utf-16-le", "grüße 你好", "UTF-16"),
        ("utf-16-be", "grüße", "UTF-16"),
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
    with pytest.raises(PromptError, match="no such prompt file"):
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


def test_json_lines_are_read_too(read):
    rows, _ = read('{"prompt": "one"}\n\n{"prompt": "two"}\n', "mine.jsonl")
    assert [(where.rpartition(" ")[2], row["prompt"]) for where, row in rows] == [("1", "one"), ("3", "two")]


ROWS = [{"prompt": "one?", "expect": "comply"}, {"prompt": "two?", "expect": None}]
FORMS = {
    "p.json": json.dumps(ROWS).encode(),
    "pretty.json": json.dumps(ROWS, indent=2).encode(),
    "named.json": json.dumps({"version": 1, "data": ROWS}).encode(),
    "columns.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}).encode(),
    "p.jsonl.gz": gzip.compress("\n".join(map(json.dumps, ROWS)).encode(), mtime=0),
    "p.jsonl.bz2": bz2.compress("\n".join(map(json.dumps, ROWS)).encode()),
    "p.csv.xz": lzma.compress(b"prompt,expect\none?,comply\ntwo?,\n"),
    "p.csv.gz": gzip.compress(b"prompt,expect\none?,comply\ntwo?,\n", mtime=0),
    "p.tsv": b"prompt\texpect\none?\tcomply\ntwo?\t\n",
    "named-csv.csv": "\n".join(map(json.dumps, ROWS)).encode(),
    "lines.txt": "\n".join(map(json.dumps, ROWS)).encode(),
    "array.txt": json.dumps(ROWS).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(read, name):
    assert [row for _, row in read(FORMS[name], name)[0]] == ROWS


def test_parquet_is_read(tmp_path, read):
    pd.DataFrame(ROWS).to_parquet(tmp_path / "made.parquet")
    content = (tmp_path / "made.parquet").read_bytes()
    assert [row for _, row in read(content, "p.parquet")[0]] == ROWS
    with pytest.raises(PromptError, match="not valid Parquet"):
        read(content[:40], "p.parquet")


def test_a_list_without_a_heading_is_one_prompt_per_line(read):
    rows, guesses = read("where is it, and why?\n\nwhat is it?\n", "list.txt")
    assert prompts(rows) == ["where is it, and why?", "what is it?"]
    assert guesses == ["It has no heading, so each line is a prompt."]
    assert prompts(read('["where?", "what?"]', "list.json")[0]) == ["where?", "what?"]
    assert read("question\nwhere?\n", "list.txt")[0][0][1] == {"question": "where?"}


@pytest.mark.parametrize(
    ("content", "name", "sentence", "step"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid x", "p.jsonl", "pointer of Git LFS", "git lfs pull"),
        (b"\x89PNG\xff", "p.jsonl", "is a picture", "file of prompts"),
        (b"\x8e\x01\x02\xff\xfe", "p.jsonl", "is not text", "CSV"),
        (b"<!DOCTYPE html><html>", "p.csv", "is a web page", "Download the file itself"),
        (b"\x28\xb5\x2f\xfdrest", "p.jsonl.zst", "compressed with zstd", "Unpack"),
        (b"\x1f\x8bnothing", "p.jsonl.gz", "its compression is broken", "again"),
        (b'[\n  {"prompt": "a"}\n  {"prompt": "b"}\n]', "p.json", "line 3: not valid JSON", "commas"),
        (b'{"prompt": "a"}\n{"prompt": ' + b"[" * 20_000, "p.jsonl", "line 2", "line"),
        (b"[" * 20_000, "p.json", "not valid JSON", "place"),
        (b'{"id": ' + b"9" * 5000 + b', "prompt": "a"}', "p.jsonl", "line 1: holds a number that is too long", "line"),
        (b"[1, 2]", "p.json", "row 1: is not a JSON object", "prompt"),
    ],
)
def test_the_next_step_fits_what_is_wrong(read, content, name, sentence, step):
    with pytest.raises(PromptError, match=sentence) as caught:
        read(content, name)
    assert step in caught.value.next_step
