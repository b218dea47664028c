"""The guides' files and screens: typing what own-data.md and own-reward.md say gives what they show."""

import re
import shutil
from pathlib import Path

import pytest

import ppo_cli
from ppo_cli.rewards.static_checks import check_terms
from tests.terminal import succeed

DOCS = Path(__file__).parents[2] / "docs"
GOAL = "When someone asks for a number, begin with the number."
LANGUAGES = [DOCS, DOCS / "zh"]


def blocks(page, language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for of, text in found if of == language]


def unwrapped(screen):
    return " ".join(screen.split())


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A folder with the file of own-data.md, and the screens of its two commands that are typed there."""
    folder = tmp_path_factory.mktemp("guide")
    shutil.copy(DOCS / "examples/questions.csv", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prompts = succeed("prompts", "questions.csv").out
        words = ("--from-file", "questions.csv", "--goal", GOAL, "--no-fetch-model")
        return folder, (prompts, succeed("init", "blank", "my-exp", *words).out)


@pytest.mark.parametrize("folder", LANGUAGES, ids=["en", "zh"])
def test_the_screens_of_own_data_are_those_of_the_commands(typed, folder):
    shown = [block for block in blocks(folder / "own-data.md", "") if not block.startswith("ppo ")]
    assert len(shown) == 2
    for screen, block in zip(typed[1], shown, strict=True):
        for part in block.split("…"):
            assert unwrapped(part) in unwrapped(screen)


@pytest.mark.parametrize("folder", LANGUAGES, ids=["en", "zh"])
def test_the_reward_of_own_reward_is_one(typed, folder):
    (function,) = blocks(folder / "own-reward.md", "python")
    (config,) = blocks(folder / "own-reward.md", "yaml")
    experiment = typed[0] / "my-exp"
    (experiment / "numbers.py").write_text(function, encoding="utf-8")
    (experiment / "numbers.yaml").write_text(config, encoding="utf-8")
    loaded = ppo_cli.load_experiment(experiment / "numbers.yaml")
    check_terms(loaded.experiment)
    assert set(loaded.experiment.reward.terms) == {"ends_turn", "number_first"}
    assert loaded.experiment.evaluation.primary == "own.number_first"
    names = {}
    exec(function, names)
    answers = ["Eight.", "It has 8 legs.", "A spider is an animal that has eight legs.", "", "1 is a number"]
    assert names["score"](answers) == [1.0, 1.0, 0.0, 0.0, 1.0]


def test_the_files_of_both_languages_are_the_same():
    for name in ("own-data.md", "own-reward.md", "own-model.md"):
        english, chinese = DOCS / name, DOCS / "zh" / name
        for language in ("yaml", "json", "csv", ""):
            without_comments = [
                [re.sub(r" +#.*", "", block) for block in blocks(page, language)] for page in (english, chinese)
            ]
            if language or name != "own-data.md":  # the Chinese page shortens the screens
                assert without_comments[0] == without_comments[1], name
