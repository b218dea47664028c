"""What a user puts in place of a recipe's parts; what `init` and `sft-check` say of a goal that nothing measures."""

from pathlib import Path

import pytest

from ppo_cli.errors import UsageError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.preflight.goal_check import goal_check
from ppo_cli.prompts.prompt_files import read_prompt_file, read_prompts
from ppo_cli.setup.init import InitChoices, PromptSource, init
from ppo_cli.setup.recipe_choices import measures_to_choose
from ppo_cli.setup.recipes import load_recipe, recipes
from tests.terminal import refused, succeed
from tests.tiny_models import save_tiny_model

OTHER_GOAL = "When medication is named, send the user to a doctor."


@pytest.fixture
def written(tmp_path):
    """What `init` says, and the experiment that it writes."""

    def written(recipe="concise", goal=None, **choices):
        result = init(
            recipe, tmp_path / "exp", goal=goal, choices=InitChoices(**choices), force=True, fetch_model=False
        )
        return result, load_experiment(tmp_path / "exp" / "experiment.yaml").experiment

    return written


def checked(experiment):
    return goal_check(experiment, read_prompt_file(Path(experiment.prompts.eval)).text)


def test_a_goal_of_the_users_own_says_what_is_still_the_recipes(written):
    result, experiment = written(goal=OTHER_GOAL)
    assert (
        "prompts, reward (on_topic_length, has_keyword, fits_prompt, matches_expect, ends_turn) and primary measure "
        "(length.words) are still of the recipe concise"
    ) in result.notices[0]
    assert "evaluation.primary_confirmed: true" in result.notices[1]
    assert not experiment.evaluation.primary_confirmed
    check = checked(experiment)
    assert (check.status, f"{check.value}.") == ("warn", result.notices[0])
    assert check.next_step == result.notices[1]


@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_a_recipe_with_its_own_goal_is_measured(recipe, written):
    result, experiment = written(recipe)
    assert not any("may not be measured" in notice for notice in result.notices)
    assert checked(experiment).status == "pass"
    assert checked(load_recipe(recipe).experiment).status == "pass"


def test_a_confirmed_measure_is_kept_in_the_config_and_asked_for_no_more(written):
    result, experiment = written(goal=OTHER_GOAL, primary="length.words")
    assert experiment.evaluation.primary_confirmed
    assert experiment.evaluation.smallest_effect == load_recipe("concise").experiment.evaluation.smallest_effect
    assert result.notices == ()
    assert checked(experiment).status == "pass"


def test_another_measure_brings_its_own_smallest_effect_and_a_word_on_the_reward(written):
    result, experiment = written(goal=OTHER_GOAL, primary="ending.eos")
    assert (experiment.evaluation.primary, experiment.evaluation.smallest_effect) == ("ending.eos", 5.0)
    assert any("5 percentage points" in notice for notice in result.notices)
    assert any("is still the recipe's, which was made for length.words" in notice for notice in result.notices)


def test_prompts_of_the_users_own_leave_the_reward_to_be_named(written):
    result, _ = written(
        "blank", goal=OTHER_GOAL, prompts=PromptSource(source=load_recipe("concise").experiment.prompts.eval)
    )
    assert result.notices[0].startswith(
        "This goal may not be measured: reward (on_topic, ends_turn) and primary measure (ending.eos) are still of"
    )


def test_terms_replace_those_of_the_recipe_and_keep_what_it_gives_them(written):
    _, experiment = written(reward=("on_topic_length=0.5", "repetition"))
    assert list(experiment.reward.terms) == ["on_topic_length", "repetition"]
    assert (experiment.reward.terms["on_topic_length"].weight, experiment.reward.terms["on_topic_length"].max) == (
        0.5,
        22,
    )
    assert experiment.reward.terms["repetition"].weight == 1.0


def test_another_model_takes_the_warm_start_out_and_trains_no_more_layers_than_it_has(written, tmp_path):
    save_tiny_model(tmp_path / "mine")
    result, experiment = written(model=str(tmp_path / "mine"))
    assert experiment.model.start == str(tmp_path / "mine")
    assert experiment.model.warm_start is None
    assert experiment.model.train.top_layers < load_recipe("concise").experiment.model.train.top_layers
    assert [notice.split()[0] for notice in result.notices] == ["model.warm_start", "model.train.top_layers"]
    assert set(result.prompts) == {"train.jsonl", "eval.jsonl"}
    same, experiment = written(model="builtin:smollm2-135m-instruct")
    assert (experiment.model.warm_start is not None, same.notices) == (True, ())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--primary", "length.wrds"), "no measure 'length.wrds'. → Did you mean length.words?"),
        (("--primary", "kl.per_token"), "kl.per_token is shown, but a run is never judged by it."),
        (("--reward", "ends_trn"), "--reward: no term 'ends_trn'. → Did you mean ends_turn?"),
        (("--reward", "ends_turn=much"), "--reward ends_turn=much: the weight must be a number."),
        (("--reward", "ends_turn=1e9"), "reward.terms.ends_turn.weight: must be at most 1000"),
        (("--reward", "ends_turn", "--reward", "ends_turn=2"), "--reward: ends_turn is named twice."),
        (
            ("--reward", "format"),
            "--reward: format needs form, which only a config can give. → Leave it out, and write",
        ),
        (("--model", "builtin:smollm2"), "no model 'builtin:smollm2'. → Did you mean builtin:smollm2-135m-instruct?"),
        (("--model", "smollm2-135m-instruct"), "→ Did you mean builtin:smollm2-135m-instruct?"),
        (("--model", "./my-modle"), "--model: no such folder ./my-modle. → Did you mean my-model?"),
        (("--model", "notes"), "--model: notes is not a model folder: it has no config.json."),
    ],
)
def test_a_wrong_choice_is_refused_at_once_with_the_nearest(words, message, tmp_path):
    (tmp_path / "my-model").mkdir()
    (tmp_path / "notes").mkdir()
    assert message in refused("init", "concise", "exp", *words, "--no-fetch-model")
    assert not (tmp_path / "exp").exists()


def test_without_a_terminal_nothing_is_asked_and_the_screen_says_what_measures_the_goal():
    screen = " ".join(succeed("init", "concise", "exp", "--goal", OTHER_GOAL, "--no-fetch-model").out.split())
    assert "Primary measure: length.words Reward: 1 on_topic_length, 0.6 has_keyword" in screen
    assert "This goal may not be measured" in screen
    assert "Which measure" not in screen


def test_the_measures_to_choose_are_those_that_the_prompts_can_show():
    evaluation = read_prompts(Path(load_recipe("concise").experiment.prompts.eval))
    names = {measure.name for measure in measures_to_choose(evaluation)}
    assert {"length.words", "ending.eos", "topic.keywords", "refusal.safe"} <= names
    assert not {"refusal.unsafe", "refusal.separation", "clarification.wanted"} & names
    everything = {measure.name for measure in measures_to_choose(None)}
    assert names < everything
    assert not {name for name in everything if name.startswith(("kl.", "entropy.", "reward."))}


def test_a_hand_edited_goal_is_noticed_too(written, tmp_path):
    written()
    config = tmp_path / "exp" / "experiment.yaml"
    experiment = load_experiment(config, [f"goal={OTHER_GOAL}"]).experiment
    assert checked(experiment).status == "warn"
    assert (
        checked(load_experiment(config, ["reward.terms.ends_turn.weight=0.9", f"goal={OTHER_GOAL}"]).experiment).status
        == "warn"
    )
    with pytest.raises(UsageError):
        load_recipe("concies")
