"""The first steps of a user: a folder to begin with, the gate before PPO, and the shipped configs."""

import re
from pathlib import Path

import pytest

from ppo_cli.experiment.load import load_experiment
from ppo_cli.setup.recipes import recipes, templates_folder
from tests.terminal import answer_at_a_terminal, error_of, fingerprint, ppo, refused, succeed
from tests.tiny_models import rows, write_rows

SHIPPED = sorted(templates_folder().rglob("*.yaml"))


# --- init --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_what_init_writes_loads_and_can_be_tried_out(recipe):
    screen = succeed("init", recipe, "my-exp", "--no-fetch-model")
    assert "my-exp/experiment.yaml" in screen.out
    experiment = load_experiment(Path("my-exp/experiment.yaml")).experiment
    assert experiment.name == "my-exp"
    assert Path(experiment.prompts.train).parent == Path("my-exp/prompts").absolute()
    assert Path(experiment.prompts.eval).is_file()
    assert succeed("train", "my-exp/experiment.yaml", "--dry-run", "--json").json["goal"] == experiment.goal


def test_init_says_the_goal_in_the_users_words():
    succeed("init", "refusal", "my-exp", "--goal", "Be kind: always.", "--no-fetch-model")
    assert load_experiment(Path("my-exp/experiment.yaml")).experiment.goal == "Be kind: always."


def test_init_gives_the_same_experiment_as_the_shipped_config(tmp_path):
    succeed("init", "refusal", "my-exp", "--no-fetch-model")
    written = load_experiment(Path("my-exp/experiment.yaml")).experiment
    shipped = load_experiment(recipes()["refusal"]).experiment
    for part in ("goal", "round", "rollout", "evaluation", "reward", "kl", "ppo", "checkpoints", "seed"):
        assert getattr(written, part) == getattr(shipped, part), part
    assert Path(written.prompts.train).read_bytes() == Path(shipped.prompts.train).read_bytes()


def test_init_never_overwrites_unless_told_to():
    succeed("init", "refusal", "my-exp", "--no-fetch-model")
    config = Path("my-exp/experiment.yaml")
    config.write_text(config.read_text() + "# mine\n")
    before = fingerprint("my-exp")
    message = refused("init", "refusal", "my-exp", "--no-fetch-model")
    assert "my-exp/experiment.yaml exists already. → " in message
    assert "--force" in message
    assert fingerprint("my-exp") == before
    succeed("init", "refusal", "my-exp", "--no-fetch-model", "--force")
    assert "# mine" not in config.read_text()


def test_init_beside_other_files_leaves_them_alone(tmp_path):
    Path("my-exp").mkdir()
    Path("my-exp/notes.txt").write_text("precious")
    succeed("init", "refusal", "my-exp", "--no-fetch-model")
    assert Path("my-exp/notes.txt").read_text() == "precious"


def test_init_of_something_unknown_or_into_a_file_is_refused():
    assert "no recipe 'refusl'. → Did you mean refusal?" in refused("init", "refusl", "my-exp")
    assert "There are: " in refused("init", "zzz", "my-exp")
    Path("file").write_text("precious")
    assert "file" in refused("init", "refusal", "file", "--no-fetch-model")
    assert Path("file").read_text() == "precious"
    assert not Path("my-exp").exists()


@pytest.mark.parametrize(("folder", "name"), [("my experiment", "my-experiment"), ("…", "refusal"), ("研究", "研究")])
def test_init_takes_a_usable_name_from_any_folder(folder, name):
    succeed("init", "refusal", folder, "--no-fetch-model")
    assert load_experiment(Path(folder) / "experiment.yaml").experiment.name == name


def test_init_with_an_empty_goal_is_refused_and_writes_nothing():
    assert "--goal is empty. → " in refused("init", "refusal", "my-exp", "--goal", "  ")
    assert not Path("my-exp").exists()


# --- sft-check ---------------------------------------------------------------------------------------


def test_sft_check_shows_each_line_with_its_number_threshold_reason_and_remedy(tiny_config):
    screen = ppo("sft-check", tiny_config, "--json")
    assert screen.code == 5, "a random model is no SFT model"
    lines = {check["name"]: check for check in screen.json["checks"]}
    assert lines["chat template"]["status"] == "pass"
    assert lines["policy equals the reference at the start"]["status"] == "pass"
    assert lines["no train/eval overlap"]["status"] == "pass"
    assert lines["reward returns finite scores"]["status"] == "pass"
    assert lines["ends its turn after an answer"]["status"] == "fail"
    assert lines["stays on topic"]["status"] == "fail"
    assert lines["no exploit beats the model's answers"]["status"] == "fail"
    for line in lines.values():
        assert line["value"]
        assert line["threshold"]
        assert line["reason"]
        assert line["group"]
        assert bool(line["next_step"]) == (line["status"] != "pass")
    assert len(screen.json["examples"]) == 3
    assert not Path("runs").exists()


def test_sft_check_ends_with_5_and_names_what_to_fix(tiny_config):
    write_rows(tiny_config.parent / "eval.jsonl", rows("train", 16))
    screen = ppo("sft-check", tiny_config)
    assert screen.code == 5
    assert "PPO should not start yet: fix the checks marked fail." in screen.out
    assert "Failed checks: " in error_of(screen)
    assert "no train/eval overlap" in error_of(screen)
    assert "What to do:" in screen.out


def test_sft_check_of_a_model_alone_asks_it_the_shipped_questions(tiny_model):
    screen = ppo("sft-check", tiny_model, "--json")
    assert screen.code == 5
    names = {check["name"] for check in screen.json["checks"]}
    assert "ends its turn after an answer" in names
    assert not any("reward" in name for name in names)
    assert screen.json["cost"] is None
    assert screen.json["examples"][0][0] == "What is the capital of France?"
    assert str(tiny_model) in ppo("sft-check", tiny_model).out


def test_sft_check_of_what_is_neither_a_config_nor_a_model_is_refused(tiny_model):
    assert "nowhere.yaml" in refused("sft-check", "nowhere.yaml")
    assert "no such folder ./nowhere" in refused("sft-check", "./nowhere")
    assert "no keys" in refused("sft-check", tiny_model, "kl.coef=1")


# --- reward ------------------------------------------------------------------------------------------


def test_reward_shows_each_exploit_and_ends_with_5(tiny_config):
    screen = ppo("reward", tiny_config, "--json")
    assert screen.code == 5
    exploits = {exploit["name"]: exploit for exploit in screen.json["exploits"]}
    assert exploits["always refuses"]["wins"] == "yes"
    assert exploits["one word repeated"]["wins"] == "no"
    assert set(screen.json["terms"]) == {"ends_turn", "matches_expect"}
    assert screen.json["answers"] == 96
    assert len(screen.json["examples"]) == 6
    shown = ppo("reward", tiny_config)
    assert "Failed checks: " in error_of(shown)
    for part in ("always refuses", "gain over model answers", "standard deviation", "Answers with the highest"):
        assert part in shown.out
    assert not Path("runs").exists()


def test_reward_with_an_override(tiny_config):
    only = ppo(
        "reward", tiny_config, "reward.terms.ends_turn.weight=0", "reward.terms.matches_expect.weight=0", "--json"
    )
    lines = {check["name"]: check for check in only.json["checks"]}
    assert lines["reward has spread"]["status"] == "fail"


# --- the shipped configs -----------------------------------------------------------------------------


def test_there_are_shipped_configs():
    assert SHIPPED
    assert "refusal" in recipes()


@pytest.mark.parametrize("config", SHIPPED, ids=lambda path: str(path.relative_to(templates_folder())))
def test_every_shipped_config_loads_and_can_be_tried_out_without_a_network(config):
    planned = succeed("train", config, "--dry-run", "--json").json
    assert planned["goal"]
    assert planned["overlaps"] == 0
    assert planned["train_prompts"] > 0
    assert planned["eval_prompts"] > 0
    assert succeed("train", config, "--dry-run").out


# --- the dry run -------------------------------------------------------------------------------------


def test_a_dry_run_shows_what_is_frozen_and_what_was_typed_and_makes_nothing(tiny_config):
    planned = succeed("train", tiny_config, "kl.coef=0.5", "--dry-run", "--json").json
    keys = {line["path"]: line for line in planned["keys"]}
    assert keys["kl.coef"]["origin"] == "override"
    assert (keys["kl.coef"]["value"], keys["kl.coef"]["replaces"]) == (0.5, 0.05)
    assert keys["rollout.temperature"]["role"] == "frozen"
    assert keys["ppo.gamma"]["origin"] == "default"
    assert (planned["train_prompts"], planned["eval_prompts"]) == (24, 16)
    assert not Path("runs").exists()


@pytest.mark.process
def test_sft_check_asks_for_the_measure_of_a_goal_that_is_not_the_recipes(tiny_config):
    """The tiny config with the reward of the recipe blank, a goal of its own, and a model that ends the check early."""
    terms = load_experiment(recipes()["blank"]).experiment.reward.terms
    weights = ", ".join(f"{name}: {{weight: {term.weight}}}" for name, term in terms.items())
    config = re.sub(r"terms: \{.*\}\}\}", f"terms: {{{weights}}}}}", tiny_config.read_text())
    tiny_config.write_text(config)
    code, seen = answer_at_a_terminal(["sft-check", tiny_config, "model.start=./none"], ["length.words"])
    assert code == 2, seen
    screen = " ".join(seen.split())
    assert "This goal may not be measured: reward (on_topic, ends_turn)" in screen
    assert "This check goes on with length.words. To keep it, write in" in screen
    assert re.search(
        r"evaluation: primary: length.words primary_confirmed: true smallest_effect: 0\.\d+ ! eval", screen
    )
    assert tiny_config.read_text() == config
