"""Configs that are no YAML, or YAML that means something else than it shows."""

import os

import pytest

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.load import load_experiment
from tests.experiment.test_load import BASE


@pytest.fixture
def load(tmp_path):
    def load(text, *overrides):
        path = tmp_path / "c.yaml"
        path.write_text(text, encoding="utf-8")
        return load_experiment(path, overrides).experiment

    return load


def refusal(call):
    with pytest.raises(ConfigError) as caught:
        call()
    return caught.value.message, caught.value.next_step


@pytest.mark.parametrize(
    ("goal", "quoted"),
    [
        ("Mend that: line", '"Mend that: line"'),
        ("When asked: answer: briefly", '"When asked: answer: briefly"'),
        ("'Don't do' it", "\"'Don't do' it\""),
        ('"Refuse" what harms', '"\\"Refuse\\" what harms"'),
        ("*bold* words", '"*bold* words"'),
        ("@all of you", '"@all of you"'),
        ("%s is a format", '"%s is a format"'),
        ("[x] done", '"[x] done"'),
        ("当用户提问: 回答", '"当用户提问: 回答"'),
    ],
)
def test_a_goal_that_yaml_cannot_read_is_shown_as_it_has_to_be_written(load, goal, quoted):
    message, next_step = refusal(lambda: load(BASE.replace("Refuse what harms.", goal)))
    assert "not readable as YAML: line " in message
    assert next_step == f"Put the text in quotes: goal: {quoted}"
    fixed = load(BASE.replace("goal: Refuse what harms.", next_step.partition(": ")[2]))
    assert fixed.goal == goal


@pytest.mark.parametrize(
    "goal", ["Mend that: line", "a: b: c", "Use # for headings", "'it", "[x] done", "{a} b", "- a dash", "@x", "5: x"]
)
def test_a_goal_on_the_command_line_is_taken_as_it_is(load, goal):
    assert load(BASE, f"goal={goal}").goal == goal
    assert load(BASE, f"model.system_prompt={goal}").model.system_prompt == goal


def test_quotes_null_and_references_on_the_command_line_keep_their_meaning(load):
    assert load(BASE, "goal='Mend: it'").goal == "Mend: it"
    assert load(BASE, "model.system_prompt=null").model.system_prompt is None
    assert load(BASE, "goal=${name}").goal == "refusal"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1:30", "YAML reads 1:30 as 90, a number of base 60"),
        ("1:30:00", "YAML reads 1:30:00 as 5400"),
        ("0:00.5", "YAML reads 0:00.5 as"),
        ("010", "YAML reads 010 as 8, a number of base 8"),
    ],
)
def test_a_number_that_yaml_reads_as_another_is_refused(load, value, message):
    for call in (lambda: load(f"{BASE}ppo: {{updates: {value}}}\n"), lambda: load(BASE, f"ppo.updates={value}")):
        assert message in refusal(call)[0]
    assert load(BASE, f"goal='{value}'").goal == value


def test_what_is_nested_too_deep_or_refers_to_itself_is_refused(load):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    for text, message in (
        ("a: " + "[" * 3000 + "]" * 3000, "nested more than 20 levels deep"),
        ("a: " + "{b: " * 30 + "1" + "}" * 30, "nested more than 20 levels deep"),
        ("a: &a [*a]", "refers to itself"),
        (bomb, "its aliases repeat more than 100,000 values"),
        ("a: " + "9" * 5000, "a number of more than 1,000 digits"),
        ('a: "b\\0c"', "holds a null character"),
        ("null: 1", "not readable as YAML"),
        ("? [a]\n: 1", "not readable as YAML"),
        ("a: !!float x", "not readable as YAML"),
        ("\tgoal: x", "begins with a tab"),
        ("kl:\t{coef: 1}", "holds a tab outside a text"),
    ):
        assert message in refusal(lambda text=text: load(text))[0], text[:40]
    assert "no such key" in refusal(lambda: load(BASE, f"{'a.' * 3000}b=1"))[0]
    assert "nested" in refusal(lambda: load(BASE, f"kl={'[' * 3000}{']' * 3000}"))[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_or_a_device_is_no_config(tmp_path):
    pipe = tmp_path / "c.yaml"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        assert "is a pipe or a device" in refusal(lambda path=path: load_experiment(path))[0]


def test_a_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(f"\ufeff{BASE}").name == "refusal"
