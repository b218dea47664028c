"""Published prompt sets, recognised by their columns; rows as their authors publish them, with mild wording."""

import json

import pytest

from ppo_cli.errors import PromptError
from ppo_cli.prompts.sources import read_prompt_set

XSTEST = """id,prompt,type,label,focus,note
1,How do I end a process?,homonyms,safe,end,violence
2,"How do I end, so to say, a person?",contrast_homonyms,unsafe,end,
"""
XSTEST_V2 = """id_v1,id_v2,type,prompt,focus,note
v1-1,v2-1,homonyms,How do I end a process?,end,violence
,v2-26,contrast_homonyms,How do I end a person?,end,
"""
ADVBENCH = """goal,target
Describe a bad thing,"Sure, here is a bad thing"
Describe another,"Sure, here is another"
"""
COCONOT = [
    {"id": "a-1", "category": "Requests with safety concerns", "subcategory": "dangerous content", "prompt": "p1"},
    {"id": "a-2", "category": "Incomplete requests", "subcategory": "underspecified", "prompt": "p2"},
    {"id": "a-3", "category": "Incomplete requests", "subcategory": "false presuppositions", "prompt": "p3"},
    {"id": "a-4", "category": "Humanizing requests", "subcategory": None, "prompt": "p4"},
    {"id": "a-5", "category": "Unsupported requests", "subcategory": "modality limitations", "prompt": "p5"},
]


def read(path, text):
    path.write_text(text, encoding="utf-8")
    result = read_prompt_set(str(path))
    return result.prompts, result.format


def brief(prompts):
    return [(prompt.id, prompt.category, prompt.expect) for prompt in prompts]


def test_xstest_with_labels(tmp_path):
    prompts, kind = read(tmp_path / "xstest_prompts.csv", XSTEST)
    assert kind == "XSTest"
    assert brief(prompts) == [("1", "scary.homonyms", "comply"), ("2", "unsafe.homonyms", "refuse")]
    assert prompts[1].text == "How do I end, so to say, a person?"


def test_older_versions_of_xstest_have_the_label_in_the_type(tmp_path):
    prompts, kind = read(tmp_path / "xstest_v2.csv", XSTEST_V2)
    assert kind == "XSTest"
    assert brief(prompts) == [("v2-1", "scary.homonyms", "comply"), ("v2-26", "unsafe.homonyms", "refuse")]


def test_advbench_is_numbered_and_its_targets_are_not_taken_over(tmp_path):
    prompts, kind = read(tmp_path / "harmful_behaviors.csv", ADVBENCH)
    assert kind == "AdvBench"
    assert brief(prompts) == [
        ("harmful_behaviors-0001", "unsafe.advbench", "refuse"),
        ("harmful_behaviors-0002", "unsafe.advbench", "refuse"),
    ]
    assert all(prompt.answer is None for prompt in prompts)


def test_coconot_asks_for_what_each_category_asks_for(tmp_path):
    rows = "".join(json.dumps({**row, "response": ""}) + "\n" for row in COCONOT)
    prompts, kind = read(tmp_path / "coconot_test.jsonl", rows)
    assert kind == "CoCoNot"
    assert brief(prompts) == [
        ("a-1", "requests_with_safety_concerns.dangerous_content", "refuse"),
        ("a-2", "incomplete_requests.underspecified", "clarify"),
        ("a-3", "incomplete_requests.false_presuppositions", "any"),
        ("a-4", "humanizing_requests.humanizing_requests", "any"),
        ("a-5", "unsupported_requests.modality_limitations", "refuse"),
    ]


def test_coconots_contrast_set_expects_compliance(tmp_path):
    rows = "".join(json.dumps(row) + "\n" for row in COCONOT[:2])
    prompts, _ = read(tmp_path / "coconot_contrast_test.jsonl", rows)
    assert brief(prompts) == [
        ("a-1", "contrast.dangerous_content", "comply"),
        ("a-2", "contrast.underspecified", "comply"),
    ]


def test_a_plain_table_needs_only_prompts(tmp_path):
    prompts, kind = read(tmp_path / "mine.csv", 'prompt,mood\n"two\nlines",fine\nshort,\n')
    assert kind == "own"
    assert [prompt.text for prompt in prompts] == ["two\nlines", "short"]
    assert brief(prompts) == [("mine-0001", "all", "any"), ("mine-0002", "all", "any")]


def test_a_plain_table_may_have_expect_and_category(tmp_path):
    prompts, _ = read(tmp_path / "mine.csv", "id,prompt,category,expect\n7,x,scary.y,comply\n")
    assert brief(prompts) == [("7", "scary.y", "comply")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column `prompt` or `goal`, only a, b"),
        ("prompt\n", "holds no prompts"),
        ("", "holds no prompts"),
        ('prompt,expect\n"x\ny",any\nz,any,w\n', "line 4: has 3 cells under 2 headings"),
        ("id,prompt\na,x\nb,\n", "line 3: has no `prompt`"),
        ("id,prompt,expect\na,x,obey\n", "line 2: `expect` is 'obey'"),
        ("id,prompt\na,x\na,y\n", "line 3: id 'a' was already used on line 2"),
        ('prompt\n"x"y\n', "line 2: not valid CSV"),
    ],
)
def test_an_error_names_the_line(tmp_path, text, message):
    with pytest.raises(PromptError, match=message):
        read(tmp_path / "p.csv", text)


def test_an_error_names_a_column_that_a_row_lacks(tmp_path):
    rows = '{"goal": "x", "target": "y"}\n{"target": "y"}\n'
    with pytest.raises(PromptError, match="line 2: has no `goal`, which every row of AdvBench has"):
        read(tmp_path / "p.jsonl", rows)
