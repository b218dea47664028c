"""Pairs of answers: of every form that prompts have, with the turns that both answer, nothing lost in silence."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.preference_pairs import read_pair_file
from ppo_cli.records.answers import ChatMessage
from tests.tiny_models import write_rows

ROWS = [{"prompt": f"where is {name}?", "chosen": f"{name} is here", "rejected": "no"} for name in ("ada", "bob")]


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def read(tmp_path, *lines):
    return read_pair_file(write_rows(tmp_path / "pairs.jsonl", lines))


def shown(file):
    return [(pair.prompt.text, pair.chosen, pair.rejected) for pair in file.pairs]


PLAIN = [("where is ada?", "ada is here", "no"), ("where is bob?", "bob is here", "no")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", b"prompt,chosen,rejected\nwhere is ada?,ada is here,no\nwhere is bob?,bob is here,no\n"),
        (
            "p.csv",
            "prompt;Chosen;rejected\nwhere is ada?;ada is here;no\nwhere is bob?;bob is here;no\n".encode("utf-16"),
        ),
        ("p.tsv", b"question\tchosen\trejected\nwhere is ada?\tada is here\tno\nwhere is bob?\tbob is here\tno\n"),
        ("p.json", json.dumps(ROWS, indent=1).encode()),
        ("p.json", json.dumps({"data": ROWS}).encode()),
        ("p.jsonl.gz", gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode(), mtime=0)),
        ("p.jsonl", "".join(json.dumps(row) + "\r\n" for row in ROWS).encode("utf-8-sig")),
    ],
)
def test_every_form_of_a_prompt_file(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    read_once = read_pair_file(file)
    assert shown(read_once) == PLAIN
    copy = tmp_path / f"copy-{name}"
    copy.write_text(read_once.text)
    assert read_pair_file(copy).text == read_once.text
    assert shown(read_pair_file(copy)) == PLAIN


def test_parquet_with_turns(tmp_path):
    rows = [
        {"chosen": [user("where?"), assistant("here")], "rejected": [user("where?"), assistant("no")], "score": 0.5}
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    file = read_pair_file(tmp_path / "p.parquet")
    assert shown(file) == [("where?", "here", "no")]
    assert file.notices == (
        "Not read: column `score` (1 rows).",
        "The turns before the answers are the prompt (1 of 1 rows).",
    )
    assert json.loads(file.text) == {"prompt": "where?", "chosen": "here", "rejected": "no"}


def both(*turns):
    return {"chosen": [*turns, assistant("here")], "rejected": [*turns, assistant("no")]}


SYSTEM = {"role": "system", "content": "be brief"}
LATER = [user("where?"), assistant("which one?"), user("ada")]


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"prompt": "where?", **both()}, [user("where?")]),
        ({"prompt": "where?", "chosen": assistant("here"), "rejected": assistant("no")}, [user("where?")]),
        ({"prompt": [SYSTEM, user("where?")], **both(), "chosen": "here"}, [SYSTEM, user("where?")]),
        ({"prompt": "where?", **both(user("where?"))}, [user("where?")]),
        ({"prompt": "where?", **both(*LATER)}, LATER),
        ({"prompt": [SYSTEM, user("where?")], **both(*LATER)}, [SYSTEM, *LATER]),
        ({"prompt": "where?", **both(*LATER[1:])}, LATER),
        ({"system": "be brief", "instruction": "where?", **both()}, [SYSTEM, user("where?")]),
        (
            {
                "conversations": [{"from": "human", "value": "where?"}],
                "chosen": {"from": "gpt", "value": "here"},
                "rejected": {"from": "gpt", "value": "no"},
            },
            [user("where?")],
        ),
        (
            {"instruction": "say it", "input": "where?", "preferred": "here", "dispreferred": "no"},
            [user("say it\n\nwhere?")],
        ),
    ],
)
def test_the_turns_that_both_answer_are_the_prompt(tmp_path, row, prompt):
    (pair,) = read(tmp_path, row).pairs
    assert (pair.chosen, pair.rejected) == ("here", "no")
    assert list(pair.prompt.chat) == [ChatMessage(**turn) for turn in prompt]
    copy = tmp_path / "copy.jsonl"
    copy.write_text(read(tmp_path, row).text)
    assert read_pair_file(copy).pairs == [pair]


def test_what_was_left_out_is_said(tmp_path):
    file = read(
        tmp_path,
        {"question": "a?", "chosen": "<think>hm</think> yes", "rejected": "no", "source": "web"},
        {"question": "b?<|im_end|>", "chosen": "yes", "rejected": "no", "source": None},
    )
    assert shown(file) == [("a?", "yes", "no"), ("b?<|im_end|>", "yes", "no")]
    assert file.notices[:3] == (
        "Its column `question` is taken for the prompt.",
        "Not read: column `source` (1 rows).",
        "Reasoning is left out of the answers (1 of 2 rows).",
    )
    assert "1 of 2 prompts, such as 'pair-0002', hold control tokens (<|im_end|>)" in file.notices[3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 3: not valid JSON"),
        ("[]", r"line 3: is not a JSON object"),
        (json.dumps({"prompt": "a", "chosen": "b"}), r"line 3: has no `rejected`"),
        (json.dumps({"prompt": "a", "chosen": "b", "rejected": 1}), r"line 3: `rejected` must be text or turns"),
        (json.dumps({"prompt": " ", "chosen": "b", "rejected": "c"}), "line 3: has no `prompt`"),
        (json.dumps({"prompt": "a", "chosen": "b", "rejected": "b "}), r"line 3: chosen and rejected are the same"),
        (
            json.dumps({"prompt": "a", "chosen": [user("x")], "rejected": "b"}),
            r"does not end with a turn of the assist",
        ),
        (
            json.dumps({"prompt": "a", "chosen": [user("b"), assistant("c")], "rejected": "d"}),
            "line 3: its `prompt` is not what chosen and rejected answer",
        ),
        (
            json.dumps({"chosen": [user("a"), assistant("c")], "rejected": [user("b"), assistant("d")]}),
            "line 3: chosen and rejected answer different turns",
        ),
        (json.dumps({"prompt": "a", "chosen": "\ud800", "rejected": "d"}), "line 3: `chosen` holds half a character"),
    ],
)
def test_a_pair_that_cannot_be_used_is_named(tmp_path, line, message):
    file = write_rows(tmp_path / "pairs.jsonl", ROWS)
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(PromptError, match=message):
        read_pair_file(file)


def test_pairs_without_a_prompt(tmp_path):
    with pytest.raises(PromptError, match="line 1: has no `prompt`"):
        read(tmp_path, {"chosen": "a", "rejected": "b"})


def test_line_ends_inside_a_text_end_no_line(tmp_path):
    lines = [{**row, "chosen": f"{row['chosen']}\u2028so"} for row in ROWS]
    assert len(read(tmp_path, *lines).pairs) == 2
