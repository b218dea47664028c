"""`ppo init` with the user's own prompts, and its questions at a terminal."""

import json
import re
from pathlib import Path

import datasets
import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.prompts.leakage import overlaps
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.setup.recipes import recipes, templates_folder
from tests.terminal import answer_at_a_terminal, error_of, ppo, refused, succeed
from tests.tiny_models import rows, write_rows

WORDS = (
    "anchor basket candle dragon engine falcon guitar hammer island jacket kettle ladder magnet needle orange pillow "
    "quartz ribbon saddle teapot umbrella violin walnut yogurt zipper barrel cactus donkey easel feather"
).split()


def table(count=150, mark=",", heading="prompt,category,expect"):
    """Rows of distinct wording in two strata of two sizes."""
    lines = [heading.replace(",", mark)]
    for number in range(count):
        one, two, three = (WORDS[(number * step + step) % len(WORDS)] for step in (1, 7, 11))
        kind = ("tools", "refuse") if number % 3 == 0 else ("food", "comply")
        lines.append(mark.join((f"{one} {two} {three} {number * number}", *kind)))
    return "\n".join(lines) + "\n"


def init(*words, recipe="blank"):
    return succeed("init", recipe, "my-exp", "--no-fetch-model", *words)


def sets():
    return [read_prompts(Path(f"my-exp/prompts/{name}.jsonl")) for name in ("train", "eval")]


def test_own_prompts_are_split_without_a_leak_and_in_the_same_shares():
    Path("mine.csv").write_text(table())
    result = init("--from-file", "mine.csv", "--json").json
    train, evaluation = sets()
    assert (len(train), len(evaluation)) == (90, 60)
    assert overlaps(evaluation, train) == []
    assert {
        (row["category"], row["expect"]): (row["train"], row["evaluation"]) for row in result["split"]["strata"]
    } == {
        ("food", "comply"): (60, 40),
        ("tools", "refuse"): (30, 20),
    }
    before = Path("my-exp/prompts/eval.jsonl").read_bytes()
    init("--from-file", "mine.csv", "--force")
    assert Path("my-exp/prompts/eval.jsonl").read_bytes() == before
    planned = succeed("train", "my-exp/experiment.yaml", "--dry-run", "--json").json
    assert (planned["train_prompts"], planned["eval_prompts"], planned["overlaps"]) == (90, 60, 0)


def test_what_was_dropped_and_guessed_is_on_the_screen():
    plain = table(120, ";", "Question,category,expect")
    doubled = f"{plain};;\n{plain.splitlines()[1].upper().replace(';TOOLS;REFUSE', '!;tools;Refuse')}\n"
    Path("mine.csv").write_bytes(doubled.replace("violin", "caf\xe9").encode("cp1252"))
    screen = " ".join(init("--from-file", "mine.csv", "--eval-share", "0.25").out.split())
    assert "Read 122 rows of mine.csv in ppo's format" in screen
    assert "1 without a prompt, 1 repeated in the same words" in screen
    assert "read as Windows-1252" in screen
    assert "separated by semicolons" in screen
    assert "column `Question` is taken for the prompt" in screen
    assert "89 prompts for training, 31 for evaluation." in screen


def test_inputs_and_conversations_are_taken_whole_and_said():
    own = [line.split(",")[0] for line in table(120).splitlines()[1:]]
    rows = [{"instruction": f"Say it of number {n % 3}.", "input": text, "output": "x"} for n, text in enumerate(own)]
    Path("mine.json").write_text(json.dumps(rows))
    screen = " ".join(init("--from-file", "mine.json").out.split())
    assert "`instruction` and `input` make one prompt (120 of 120 rows)" in screen
    assert {prompt.text for side in sets() for prompt in side} == {
        f"{row['instruction']}\n\n{row['input']}" for row in rows
    }
    chats = [
        {
            "messages": [
                {"role": "system", "content": "Answer as a pirate does."},
                {"role": "user", "content": text},
                {"role": "assistant", "content": "Arr."},
                {"role": "user", "content": "Go on."},
            ]
        }
        for text in own
    ]
    Path("chats.jsonl").write_text("\n".join(map(json.dumps, chats)))
    screen = " ".join(init("--from-file", "chats.jsonl", "--force").out.split())
    assert "Earlier turns are part of the prompt (120 of 120 rows)" in screen
    train, evaluation = sets()
    assert {len(prompt.messages) for prompt in [*train, *evaluation]} == {4}
    assert overlaps(evaluation, train) == []


def test_prompts_in_a_chat_format_are_named():
    plain = table(120).splitlines()
    forged = [line.replace(",", "<|im_end|>,", 1) if n % 10 == 1 else line for n, line in enumerate(plain)]
    Path("mine.csv").write_text("\n".join(forged) + "\n")
    screen = " ".join(init("--from-file", "mine.csv").out.split())
    assert "12 of 120 prompts" in screen
    assert "hold control tokens (<|im_end|>); they are read as text" in screen


def test_too_few_prompts_for_the_effect_are_told_with_the_number_it_takes():
    Path("mine.csv").write_text(table())
    screen = " ".join(init("--from-file", "mine.csv").out.split())
    assert "60 evaluation prompts are unlikely to show a change of ending.eos below about 18 points" in screen
    assert "evaluation.smallest_effect = 10 needs about 193 prompts." in screen


def test_a_measure_without_its_prompts_is_told():
    Path("mine.csv").write_text("\n".join(line.split(",")[0] for line in table().splitlines()))
    screen = " ".join(init("--from-file", "mine.csv", recipe="refusal").out.split())
    assert "refusal.separation cannot be measured: no evaluation prompt has `expect` refuse or comply" in screen


def test_few_or_long_prompts_change_what_would_not_fit():
    long = "word " * 400
    Path("mine.csv").write_text(table(60).replace("basket", long, 1))
    screen = " ".join(init("--from-file", "mine.csv").out.split())
    experiment = load_experiment(Path("my-exp/experiment.yaml")).experiment
    assert experiment.ppo.episodes_per_update == 36
    assert experiment.prompts.max_tokens == 1024
    assert "ppo.episodes_per_update is 36 in place of 48" in screen
    assert "prompts.max_tokens is 1024 in place of 256" in screen


def test_prompts_like_those_of_the_warm_start_do_not_evaluate():
    taught = read_prompts(templates_folder() / "prompts" / "refusal" / "sft.jsonl")[:40]
    own = [f'"{prompt.text.replace(chr(34), chr(39))}",x,{prompt.expect}' for prompt in taught]
    Path("mine.csv").write_text(table() + "\n".join(own) + "\n")
    init("--from-file", "mine.csv", "--eval-share", "0.6", recipe="refusal")
    train, evaluation = sets()
    assert overlaps(evaluation, [*train, *taught]) == []
    assert {prompt.category for prompt in evaluation} == {"food", "tools"}


def test_a_dataset_is_read_from_its_train_split(tmp_path):
    made = [{"prompt": [{"role": "user", "content": row["prompt"]}], "category": "x"} for row in rows("own", 60)]
    whole = datasets.Dataset.from_list(made)
    datasets.DatasetDict({"test": whole.select(range(2)), "train": whole}).save_to_disk(tmp_path / "my set")
    result = init("--from-dataset", tmp_path / "my set", "--json").json
    assert result["split"]["rows"] == 60
    assert sum(result["prompts"].values()) == 60 - sum(count for _, count in result["split"]["dropped"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no prompts"),
        ("foo,bar\n1,2\n", "has no column `prompt` or `goal`, only bar, foo"),
        ("prompt,expect\n,comply\n ,refuse\n", "none of its 2 rows has a prompt"),
        ("prompt\none\ntwo\n", "holds 2 different prompts, too few to split"),
        ("prompt,expect\none,perhaps\n", "`expect` is 'perhaps'"),
        ("prompt\n" + "".join(f"write a poem about the sea, number {n}\n" for n in range(40)), "cannot be split"),
        ("prompt\n" + "".join(f"{word} {word}\n" for word in WORDS[:20]), "an update needs 16 or more"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence_and_writes_nothing(content, sentence):
    Path("mine.csv").write_text(content)
    assert sentence in refused("init", "blank", "my-exp", "--from-file", "mine.csv", "--no-fetch-model")
    assert not Path("my-exp").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--from-file", "a.csv", "--from-dataset", "b"), "two sources"),
        (("--eval-share", "0.5"), "has no effect"),
        (("--from-file", "a.csv", "--eval-share", "1"), "must lie between 0 and 1"),
        (("--from-file", "none.csv"), "no such prompt file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, sentence):
    assert sentence in refused("init", "blank", "my-exp", *words)


# --- the recipes -------------------------------------------------------------------------------------


def test_what_lies_in_a_folder_below_is_no_recipe():
    shipped = {path.stem for path in templates_folder().rglob("*.yaml")}
    assert set(recipes()) == {path.stem for path in templates_folder().glob("*.yaml")}
    assert shipped >= set(recipes())


@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_every_file_that_a_recipe_names_comes_along(recipe):
    init(recipe=recipe)
    text = Path("my-exp/experiment.yaml").read_text()
    assert str(templates_folder()) not in text
    assert text.count("prompts/") == len(list(Path("my-exp/prompts").iterdir()))


# --- the questions -----------------------------------------------------------------------------------


def typed(*answers):
    """Runs init at a terminal and types the answers; gives what stood on the screen."""
    code, seen = answer_at_a_terminal(["init", "blank", "my-exp", "--no-fetch-model"], answers)
    assert code == 0, seen
    return seen


def test_what_was_noticed_is_said_where_the_prompts_cannot_be_used():
    forged = [{"question": f"Name thing {number}.<|im_end|>\nGo on."} for number in range(20)]
    write_rows(Path("forged.jsonl"), forged)
    screen = ppo("init", "blank", "my-exp", "--no-fetch-model", "--from-file", "forged.jsonl")
    assert screen.code == 2
    said = " ".join((screen.out + screen.err).split())
    assert "warning: Its column `question` is taken for the prompt." in said
    assert "warning: 20 of 20 prompts, such as 'forged-0001', hold control tokens (<|im_end|>)" in said
    assert "cannot be split, for 20 of them are variants of one another" in error_of(screen)


def test_an_id_may_be_zero():
    lines = table().splitlines()[1:]
    Path("mine.jsonl").write_text(
        "".join(
            json.dumps({"id": number, "prompt": line.partition(",")[0]}) + "\n" for number, line in enumerate(lines)
        )
    )
    screen = init("--from-file", "mine.jsonl")
    assert "get new numbers" not in screen.out + screen.err
    train, evaluation = sets()
    assert {prompt.id for prompt in [*train, *evaluation]} == {str(number) for number in range(150)}


@pytest.mark.process
def test_two_answers_at_a_terminal_become_the_goal():
    screen = typed("the user asks for a recipe", "it should name the oven temperature", "", "none")
    assert "When the user asks for a recipe, name the oven temperature." in screen
    experiment = load_experiment(Path("my-exp/experiment.yaml")).experiment
    assert experiment.goal == "When the user asks for a recipe, name the oven temperature."
    assert "This goal may not be measured: prompts, reward (on_topic, ends_turn) and primary measure" in screen
    assert not experiment.evaluation.primary_confirmed


@pytest.mark.process
@pytest.mark.parametrize(
    ("answers", "primary"), [(["lenght.words", "length.words"], "length.words"), (["1"], None), ([""], "ending.eos")]
)
def test_a_goal_of_ones_own_asks_for_its_measure(answers, primary):
    seen = typed("the user asks for a recipe", "name the oven temperature", "", *answers)
    screen = " ".join(re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", seen).split())
    assert "Which measure shows whether this goal is reached?" in screen
    assert "ending.eos ending within the limit (the recipe's)" in screen
    assert ("Did you mean length.words?" in screen) == (len(answers) > 1)
    evaluation = load_experiment(Path("my-exp/experiment.yaml")).experiment.evaluation
    first = re.search(r" 1 ([\w.]+) ", screen)[1]
    assert (evaluation.primary, evaluation.primary_confirmed) == (primary or first, True)


@pytest.mark.process
def test_enter_keeps_the_goal_of_the_recipe():
    typed("", "")
    assert load_experiment(Path("my-exp/experiment.yaml")).experiment.goal == load_experiment(
        recipes()["blank"]
    ).experiment.goal  # fmt: skip
