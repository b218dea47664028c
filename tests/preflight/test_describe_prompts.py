"""`ppo prompts`: what was read, left out, repeated, shared, and what it is about."""

import json
from pathlib import Path

import pytest

from ppo_cli.preflight.describe_prompts import describe_prompts
from tests.terminal import refused, succeed

MINE = """question,output
"How do I cook rice in a pot, quickly?",Boil it.
How do I cook rice in a pot quickly?,
,
¿Cómo se cocina el arroz en la olla para una persona?,Con agua.
怎么煮米饭好吃？煮米饭要多久？,
How do I boil rice in a pot quickly?,
How does a bicycle keep upright?,
"""


@pytest.fixture
def mine():
    Path("mine.csv").write_text(MINE, encoding="utf-8")
    return "mine.csv"


def test_what_is_read_left_out_repeated_and_alike(mine):
    report = describe_prompts(mine)
    assert (report.rows, report.prompts, report.format) == (7, 6, "own")
    assert report.left_out == (("without a prompt", 1),)
    assert report.notices[:2] == (
        "Its column `question` is taken for the prompt.",
        "Its column `output` is taken for `answer`.",
    )
    assert dict(report.parts) == {"with a written answer": 2}
    assert dict(report.languages) == {"english": 4, "spanish": 1, "chinese": 1}
    assert (report.repeated.count, report.repeated.examples) == (1, (("mine-0001", "mine-0002"),))
    assert report.near_duplicates.count == 2
    assert set(report.near_duplicates.examples) == {("mine-0001", "mine-0005"), ("mine-0002", "mine-0005")}
    assert ("rice", 3) in report.common_words
    assert not {"how", "the", "do"} & {word for word, _ in report.common_words}


def test_lengths_are_in_words():
    lines = [{"prompt": " ".join(["word"] * count)} for count in range(1, 21)]
    Path("lengths.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    lengths = describe_prompts(Path("lengths.jsonl")).lengths
    assert (lengths.shortest, lengths.median, lengths.nine_in_ten, lengths.longest) == (1, 10.5, 18, 20)
    assert lengths.longest_id == "lengths-0020"


def test_leaks_into_a_file_and_into_the_other_sets_of_a_config(mine, tiny_config):
    Path("other.txt").write_text("How does a bicycle keep upright?\nHow do I cook rice in a pot quickly, please?\n")
    (leak,) = describe_prompts(mine, against=["other.txt"]).leaks
    assert (leak.against, leak.prompts, leak.shared.count) == ("other.txt", 2, 1)
    assert leak.shared.examples == (("mine-0006", "other-0001"),)
    assert leak.near.count >= 2
    train, evaluation = (tiny_config.parent / f"{name}.jsonl" for name in ("train", "eval"))
    (leak,) = describe_prompts(evaluation, against=[tiny_config]).leaks
    assert (leak.against, leak.shared.count) == (f"prompts.train ({train})", 0)
    assert [leak.against for leak in describe_prompts(mine, against=[tiny_config]).leaks] == [
        f"prompts.train ({train})",
        f"prompts.eval ({evaluation})",
    ]


def test_pairs_are_described_by_their_prompts():
    Path("pairs.jsonl").write_text('{"prompt": "Name a fruit.", "chosen": "An apple.", "rejected": "No."}\n')
    report = describe_prompts("pairs.jsonl")
    assert (report.format, report.prompts, dict(report.parts)) == ("pairs", 1, {"preference pairs": 1})


def test_conversations_and_categories_are_counted():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi!"}]
    longer = [*turns, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Name a fruit."}]
    lines = [
        {"prompt": turns, "category": "a"},
        {"prompt": longer, "category": "b"},
        {"prompt": "Hi?", "category": "b"},
    ]
    Path("chats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = describe_prompts("chats.jsonl")
    assert dict(report.parts) == {"conversations of several turns": 1, "with a system turn": 2}
    assert [(kind.category, kind.expect, kind.count) for kind in report.kinds] == [("b", "any", 2), ("a", "any", 1)]


def test_the_screen_shows_what_was_read_first_and_leaks_in_words(mine):
    Path("other.txt").write_text("How does a bicycle keep upright?\n")
    out = " ".join(succeed("prompts", mine, "--against", "other.txt").out.split())
    assert out.startswith("mine.csv: 6 prompts in 7 rows ! Its column `question` is taken for the prompt.")
    assert "left out 1 without a prompt" in out
    assert (
        "shared 1 prompts, and 0 near-duplicates, with other.txt (1 prompts): 'mine-0006' is 'other-0001' there" in out
    )
    assert "No category and no `expect`" in out
    assert "init blank my-exp --from-file mine.csv" in out
    assert succeed("prompts", mine, "--json").json["languages"][0] == ["english", 4]


def test_a_file_that_cannot_be_read_is_refused_with_its_line():
    assert "no such prompt file" in refused("prompts", "nowhere.csv")
    Path("broken.jsonl").write_text('{"prompt": "Hi?"}\n{"prompt": "Ho?", "expect": "perhaps"}\n')
    assert "broken.jsonl, line 2: `expect` is 'perhaps'." in refused("prompts", "broken.jsonl")
