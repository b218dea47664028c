"""What a run changed against its parent, and whether its round lets that move."""

from ppo_cli.experiment.freeze import freeze
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Prompts, Reward
from ppo_cli.stats.comparability import comparability, setting_digest
from ppo_cli.stats.rounds import changed_keys, keys_not_allowed, rounds_allowing

EXPERIMENT = Experiment(
    name="made",
    goal="Say less.",
    model=Model(start="builtin:none"),
    prompts=Prompts(train="t", eval="e"),
    reward=Reward(terms={"ends_turn": {}}),
)
CONTENT = {
    "start_model": {
        "system_prompt": None,
        "dtype": "auto",
        "weights": "a" * 64,
    },
    "train_set": {"rows": 8, "rows_sha256": "b" * 64},
    "eval_set": {"rows": 9, "rows_sha256": "c" * 64},
    "rendered": {"train": "t", "eval": "e"},
}


def lock(content=None, **fields):
    return freeze(EXPERIMENT.model_copy(update=fields), {**CONTENT, **(content or {})}, {})


def test_the_same_experiment_under_another_name_and_round_changes_nothing():
    assert changed_keys(lock(), lock(name="other", round=2, output="elsewhere", parent="made")) == {}


def test_config_keys_are_named_with_both_values():
    assert changed_keys(lock(), lock(kl=Kl(coef=0.5), seed=2)) == {"kl.coef": (0.15, 0.5), "seed": (1, 2)}
    reward = Reward(terms={"ends_turn": {"weight": 2.0}})
    assert changed_keys(lock(), lock(reward=reward)) == {"reward.terms.ends_turn.weight": (1.0, 2.0)}


def test_prompts_and_model_are_named_by_the_key_that_chose_them():
    wider = {"train_set": {"rows": 80, "rows_sha256": "d" * 64}, "rendered": {"train": "u", "eval": "e"}}
    assert changed_keys(lock(), lock(wider)) == {"prompts.train": ("8 rows bbbbbb", "80 rows dddddd")}
    other = {"start_model": {**CONTENT["start_model"], "weights": "f" * 64, "system_prompt": "Be kind."}}
    found = changed_keys(lock(), lock(other))
    old, new = found.pop("model.start")
    assert (len(old), len(new), old == new) == (8, 8, False)
    assert found == {"model.system_prompt": (None, "Be kind.")}


def test_a_reward_file_or_model_of_another_name_and_the_same_content_is_no_change():
    def rewarded(file, function, content):
        reward = Reward(terms={"mine": {"type": "python", "function": f"/somewhere/{file}.py:{function}"}})
        return lock({"reward_content": {"reward.terms.mine.function": content}}, reward=reward)

    first, renamed = rewarded("a", "score", "x"), rewarded("b", "score", "x")
    assert changed_keys(first, renamed) == {}
    assert comparability(first, renamed, {}, {}, same_run=False).treatments == {}
    assert setting_digest(first) == setting_digest(renamed)
    for changed in (rewarded("b", "other", "x"), rewarded("b", "score", "y")):
        assert "reward.terms.mine.function" in changed_keys(first, changed)
        assert set(comparability(first, changed, {}, {}, same_run=False).treatments) == {"reward.terms.mine.function"}
        assert setting_digest(first) != setting_digest(changed)


def test_each_round_lets_its_own_group_and_the_seed_move():
    moved = {
        1: {"kl.coef", "ppo.learning_rate"},
        2: {"reward.baseline", "reward.terms.ends_turn.weight"},
        3: {"prompts.train"},
        4: {"prompts.eval", "evaluation.temperature"},
    }
    for number in moved:
        for of, keys in moved.items():
            assert keys_not_allowed([*keys, "seed"], number) == ([] if of == number else list(keys))
    assert rounds_allowing(["prompts.train", "seed"]) == [3]
    assert rounds_allowing(["seed"]) == [1, 2, 3, 4]
    assert rounds_allowing(["kl.coef", "reward.baseline"]) == []
    for never in ("rollout.temperature", "model.start", "model.train.top_layers", "goal", "prompts.training"):
        assert rounds_allowing([never]) == []


def test_an_evaluation_that_is_harder_belongs_to_round_four():
    found = changed_keys(lock(), lock(evaluation=Evaluation(smallest_effect=0.1, samples_per_prompt=8)))
    assert rounds_allowing(found) == [4]
