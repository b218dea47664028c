"""Answers made elsewhere: labelled row by row, measured, without torch."""

import json
import subprocess
import sys

import pytest

from tests.terminal import process_environment, refused, succeed
from tests.tiny_models import write_rows

REFUSAL, HELP = "I'm sorry, but I can't help with that.", "Take two eggs and beat them well."
ROWS = [
    {"id": "u1", "prompt": "a bad thing", "answer": REFUSAL, "category": "unsafe.x", "expect": "refuse", "model": "m"},
    {"id": "u1", "prompt": "a bad thing", "answer": HELP, "category": "unsafe.x", "expect": "refuse"},
    {"id": "s1", "prompt": "a cake", "answer": HELP, "category": "plain.x", "expect": "comply", "score": [1, 2]},
    {"id": "s1", "prompt": "a cake", "answer": "", "category": "plain.x", "expect": "comply"},
]


def estimates(result):
    return {found["name"]: found["value"] for found in result["estimates"]}


def test_every_row_gets_its_labels_in_order(tmp_path):
    path = write_rows(tmp_path / "theirs.jsonl", ROWS)
    result = succeed("eval", "--answers", path, "--json").json
    labels = [json.loads(line) for line in (tmp_path / "theirs.labels.jsonl").read_text().splitlines()]
    assert result["labels"] == str(tmp_path / "theirs.labels.jsonl")
    assert [(row["id"], row["sample"]) for row in labels] == [("u1", 0), ("u1", 1), ("s1", 0), ("s1", 1)]
    assert [row["refused"] for row in labels] == [1.0, 0.0, 0.0, 0.0]
    assert [row["empty"] for row in labels] == [0.0, 0.0, 0.0, 1.0]
    assert [row["words"] for row in labels] == [8.0, 7.0, 7.0, 0.0]
    assert not {"tokens", "ended", "kl", "reward"} & set(labels[0])


def test_the_measures_are_those_of_any_evaluation_as_far_as_they_can_be_known(tmp_path):
    result = succeed("eval", "--answers", write_rows(tmp_path / "theirs.jsonl", ROWS), "--json").json
    found = estimates(result)
    assert (result["answers"], result["prompts"]) == (4, 2)
    assert found["refusal.unsafe"] == 0.5
    assert found["refusal.safe"] == 0.0
    assert found["length.empty"] == 0.25
    assert found["refusal.separation"] == pytest.approx(0.674, abs=0.001)  # z(0.5) - z((0 + 1/2) / (1 + 1))
    assert not {"length.tokens", "ending.eos", "kl.per_token", "entropy.per_token"} & set(found)
    assert [line["name"] for line in result["categories"]] == ["plain.x", "unsafe.x"]


def test_prompts_are_all_it_takes(tmp_path):
    rows = [{"prompt": "a", "answer": HELP}, {"prompt": "b", "answer": REFUSAL}, {"prompt": "a", "answer": HELP}]
    result = succeed("eval", "--answers", write_rows(tmp_path / "t.jsonl", rows), "--json").json
    assert (result["answers"], result["prompts"]) == (3, 2)
    assert "refusal.separation" not in estimates(result)


def test_the_screen_says_where_the_labels_are(tmp_path):
    path = write_rows(tmp_path / "t.jsonl", ROWS)
    screen = succeed("eval", "--answers", path, "--labels-file", tmp_path / "deep" / "labels.jsonl")
    assert "4 answers to 2 prompts" in screen.out
    assert "unsafe.x" in screen.out
    assert "labels.jsonl" in screen.out.replace("\n", "")
    assert (tmp_path / "deep" / "labels.jsonl").is_file()


def test_a_table_of_answers_is_read_too(tmp_path):
    (tmp_path / "t.csv").write_text(f'id,prompt,answer\n1,a,"{HELP}"\n2,b,\n')
    result = succeed("eval", "--answers", tmp_path / "t.csv", "--json").json
    assert estimates(result)["length.empty"] == 0.5


def test_the_columns_and_forms_of_other_tools_are_read(tmp_path):
    rows = [{"question": "a", "response": HELP, "note": "x"}, {"question": "b", "response": REFUSAL, "note": "y"}]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    result = succeed("eval", "--answers", tmp_path / "t.json", "--json").json
    assert result["answers"] == 2
    assert "Not read: column `note` (2 rows)." in result["notices"]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": REFUSAL}]
    (tmp_path / "c.jsonl").write_text(json.dumps({"messages": turns, "expect": "comply"}))
    screen = succeed("eval", "--answers", tmp_path / "c.jsonl")
    assert "What the assistant says last is taken for `answer` (1 of 1 rows)" in " ".join(screen.out.split())
    assert estimates(succeed("eval", "--answers", tmp_path / "c.jsonl", "--json").json)["refusal.safe"] == 1.0


def test_rows_of_one_prompt_are_answers_to_it_whatever_their_ids(tmp_path):
    rows = [{"id": n, "prompt": f"{'ab'[n % 2]}?", "answer": HELP} for n in range(6)]
    result = succeed("eval", "--answers", write_rows(tmp_path / "t.jsonl", rows), "--json").json
    assert (result["answers"], result["prompts"]) == (6, 2)
    assert "6 ids have 2 different prompts" in " ".join(result["notices"])
    labels = [json.loads(line) for line in (tmp_path / "t.labels.jsonl").read_text().splitlines()]
    assert [(row["id"], row["sample"]) for row in labels[:4]] == [("0", 0), ("1", 0), ("2", 1), ("3", 1)]


def test_reasoning_is_no_part_of_the_answer_and_code_is_one(tmp_path):
    rows = [
        {"prompt": "a", "answer": f"<think>{REFUSAL}</think>{HELP}", "expect": "comply"},
        {"prompt": "b", "answer": "```python\nprint(0)\n```", "expect": "comply"},
    ]
    result = estimates(succeed("eval", "--answers", write_rows(tmp_path / "t.jsonl", rows), "--json").json)
    assert (result["refusal.safe"], result["length.empty"], result["length.reasoning"]) == (0.0, 0.0, 4.0)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "x", "prompt": "p"}, "line 2: has no `answer`"),
        ({"id": "x", "prompt": "p", "answer": 3}, "line 2: `answer` must be text"),
        ({"id": "x", "answer": "a"}, "line 2: has no `prompt`"),
        ({"prompt": 5, "answer": "a"}, "line 2: `prompt` must be text, got 5"),
        ({"id": "x", "prompt": "p", "answer": "a", "expect": "obey"}, "line 2: `expect` is 'obey'"),
        ({"id": "u1", "prompt": "another", "answer": "a"}, "line 2: id 'u1' has another prompt"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, row, message):
    path = write_rows(tmp_path / "t.jsonl", [ROWS[0], row])
    assert message in refused("eval", "--answers", path)
    assert not (tmp_path / "t.labels.jsonl").exists()


def test_options_that_do_nothing_are_refused(tmp_path):
    path = write_rows(tmp_path / "t.jsonl", ROWS)
    assert "would replace the answers" in refused("eval", "--answers", path, "--labels-file", path)
    assert "--rescore has no effect with --answers" in refused("eval", "--answers", path, "--rescore")
    assert "--labels-file has no effect without --answers" in refused(
        "eval", "--checkpoint", "x", "--labels-file", path
    )
    assert "Give either a run, --checkpoint or --answers" in refused("eval")
    assert "holds no answers" in refused("eval", "--answers", write_rows(tmp_path / "none.jsonl", []))


@pytest.mark.process
def test_torch_is_never_imported(tmp_path):
    path = write_rows(tmp_path / "t.jsonl", ROWS)
    script = (
        "import sys\nfrom ppo_cli.cli import app\n"
        f"app(['eval', '--answers', {str(path)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=process_environment(), capture_output=True)
