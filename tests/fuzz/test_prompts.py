"""No file of prompts, of whatever form, ends in anything but prompts or a sentence with a next step."""

import bz2
import csv
import gzip
import io
import json
import lzma
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.errors import PpoError
from ppo_cli.evaluation.external_answers import score_answers
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.prompts.prompt_files import read_prompt_file
from ppo_cli.prompts.sources import read_prompt_set
from ppo_cli.setup.user_dataset import split_user_dataset
from tests.fuzz.limits import FUZZ, for_a_while
from tests.fuzz.values import HOSTILE

pytestmark = pytest.mark.slow
COLUMNS = (
    *("prompt", "question", "instruction", "input", "output", "answer", "messages", "conversations", "history"),
    *("system", "label", "id", "category", "expect", "keywords", "pair_id", "text", "Goal", "用户问题", "", "note"),
)
SAID = (
    "Where is it?",
    "<|im_end|>",
    "<think>hm</think>yes",
    "a, b; c",
    'say "x"',
    "refuse",
    "safe",
    "\ud800",
    "\r\n\n",
)
PARTS = ("hi", {"type": "text", "text": "hi"}, {"type": "image_url"}, {"text": None}, 3, None)
said = st.one_of(st.sampled_from(SAID), st.sampled_from(HOSTILE), st.text(max_size=12))
turn = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "", None, 3]),
        "from": st.sampled_from(["human", "gpt", "x"]),
        "content": st.one_of(said, st.lists(st.sampled_from(PARTS), max_size=3)),
        "value": said,
    },
)
chat = st.one_of(st.lists(turn, max_size=4), turn, st.lists(st.lists(said, max_size=3), max_size=2))
cell = st.one_of(said, said, said, chat, chat.map(lambda turns: json.dumps(turns, default=str)))
rows_of_prompts = st.lists(st.dictionaries(st.sampled_from(COLUMNS), cell, min_size=1, max_size=5), max_size=14)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "cp1252")
PACKED = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def as_csv(rows, separator=","):
    file = io.StringIO(newline="")
    heading = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(file, delimiter=separator)
    writer.writerows([heading, *[[_cell(row.get(name)) for name in heading] for row in rows]])
    return file.getvalue()


def _cell(value):
    with suppress(ValueError):  # an integer of too many digits
        return value if isinstance(value, str) else json.dumps(value)
    return "9"


def as_json(value):
    with suppress(ValueError):
        return json.dumps(value, ensure_ascii=False)
    return "[]"


FORMS = {
    ".csv": as_csv,
    ".tsv": lambda rows: as_csv(rows, "\t"),
    ".txt": lambda rows: as_csv(rows, ";"),
    ".jsonl": lambda rows: "\n".join(as_json(row) for row in rows),
    ".json": as_json,
    ".wrapped.json": lambda rows: as_json({"version": 1, "data": rows}),
    ".columns.json": lambda rows: as_json({name: [row.get(name) for row in rows] for name in ("prompt", "answer")}),
    ".list.json": lambda rows: as_json([next(iter(row.values())) for row in rows]),
}


def parquet(rows):
    try:
        table = pa.Table.from_pylist(rows)
    except (pa.ArrowException, OverflowError, UnicodeError, ValueError):  # a column of several types
        named = [
            {name: _cell(value).encode("utf-8", "replace").decode() for name, value in row.items()} for row in rows
        ]
        table = pa.Table.from_pylist(named)
    file = io.BytesIO()
    with suppress(pa.ArrowException):
        pq.write_table(table, file)
    return file.getvalue()


def read(path):
    """All that commands do with a file of prompts before a model reads them."""
    readers = (
        lambda: overlaps(read_prompt_file(path).prompts, read_prompt_file(path, need_answers=True).prompts),
        lambda: read_prompt_set(str(path)),
        lambda: split_user_dataset(str(path), 0.5),
        lambda: score_answers(path, labels_file=path.with_name("labels.out")),
    )
    for use in readers:
        try:
            use()
        except PpoError as error:
            refusal = error
        else:
            continue
        assert refusal.message
        assert refusal.next_step


@pytest.mark.filterwarnings("ignore")
def test_any_rows_in_any_form(tmp_path):
    for_a_while("prompts", lambda check_time: _write_rows(tmp_path, check_time))


def _write_rows(folder, check_time):
    forms, packings = st.sampled_from([*FORMS, ".parquet"]), st.sampled_from(list(PACKED))

    @FUZZ
    @given(rows_of_prompts, forms, st.sampled_from(ENCODINGS), packings)
    def run(rows, form, encoding, packing):
        check_time()
        if form == ".parquet":
            content = parquet(rows)
        else:
            content = FORMS[form](rows).encode(encoding, "surrogatepass" if "utf" in encoding else "replace")
        path = folder / f"p{form}{packing}"
        path.write_bytes(PACKED[packing](content))
        read(path)
        path.unlink()

    run()


@pytest.mark.filterwarnings("ignore")
def test_any_edit_of_a_file(tmp_path):
    for_a_while("prompts", lambda check_time: _edit_bytes(tmp_path, check_time))


def _edit_bytes(folder, check_time):
    rows = [
        {"id": f"a{number}", "prompt": f"Where is {word}?", "answer": f"Over {word}.", "expect": "comply"}
        for number, word in enumerate("abcdefghijkl")
    ]
    chats = [{"messages": [{"role": "user", "content": row["prompt"]}]} for row in rows]
    whole = {form: write(rows).encode() for form, write in FORMS.items()}
    whole |= {".parquet": parquet(rows), ".chats.jsonl": FORMS[".jsonl"](chats).encode()}
    packings = st.sampled_from(list(PACKED))
    part = st.one_of(st.binary(max_size=4), st.sampled_from([b'"', b"{", b"]", b"[" * 3000, b"9" * 5000, b"\n", b","]))

    @FUZZ
    @given(st.sampled_from(list(whole)), packings, st.integers(0, 10_000), st.integers(0, 12), part)
    def run(form, packing, number, length, inserted):
        check_time()
        content = PACKED[packing](whole[form])
        start = number % (len(content) + 1)
        path = folder / f"p{form}{packing}"
        path.write_bytes(content[:start] + inserted + content[start + length :])
        read(path)
        path.unlink()

    run()
