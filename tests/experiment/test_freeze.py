"""The freeze lock: what changes a digest, and who notices."""

from dataclasses import replace

import pytest

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Ppo, Prompts, Reward, TrainedPart
from ppo_cli.stats.comparability import group_differences

CONTENT = {"eval_set": {"rows": 2, "rows_sha256": "aa"}, "rendered": {"eval": "bb"}}
FILES = {"config.yaml": "1" * 64, "inputs/eval.jsonl": "2" * 64}


@pytest.fixture
def experiment():
    return Experiment(
        name="x",
        goal="g",
        model=Model(start="builtin:smollm2-135m-instruct"),
        prompts=Prompts(train="t", eval="e"),
        reward=Reward(terms={"ends_turn": {}}),
    )


def changed(experiment, **groups):
    return experiment.model_copy(update=groups)


def test_one_and_one_point_nought_are_one_value_of_a_float_key(experiment):
    assert sha256_of({"coef": 1}) != sha256_of({"coef": 1.0})
    whole, real = (freeze.freeze(changed(experiment, kl=Kl(coef=coef)), {}, {}) for coef in (1, 1.0))
    assert whole.fingerprint == real.fingerprint


def test_a_treatment_changes_its_group_alone(experiment):
    before = freeze.freeze(experiment, CONTENT, FILES)
    after = freeze.freeze(changed(experiment, kl=Kl(coef=0.5)), CONTENT, FILES)
    differing = [name for name in before.groups if before.groups[name].digest != after.groups[name].digest]
    assert differing == ["kl"]
    assert before.fingerprint != after.fingerprint


def test_free_keys_change_nothing(experiment):
    interim = Evaluation(every=1, interim_prompts=3)
    free = changed(experiment, name="y", output="elsewhere", tracking=("wandb",), evaluation=interim)
    assert freeze.freeze(free, CONTENT, FILES).fingerprint == freeze.freeze(experiment, CONTENT, FILES).fingerprint


def test_yaml_round_trip(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    assert freeze.from_yaml(freeze.to_yaml(lock), "lock") == lock


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: 2", "rows: 3", "edited after freezing: group eval_set"),
        ("format: ppo-freeze/3", "format: ppo-freeze/9", "has the format ppo-freeze/9, and this version of ppo reads"),
        ("format: ppo-freeze/3", "schema: ppo-freeze/1", "has the format ppo-freeze/1, and this version of ppo reads"),
        ("groups:", "gruops:", "is damaged"),
    ],
)
def test_an_edited_lock_is_noticed(experiment, old, new, message):
    text = freeze.to_yaml(freeze.freeze(experiment, CONTENT, FILES))
    assert old in text
    with pytest.raises(IntegrityError, match=message):
        freeze.from_yaml(text.replace(old, new, 1), "lock")


def test_a_changed_digest_is_noticed_by_the_fingerprint(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    other = freeze.freeze(changed(experiment, kl=Kl(coef=0.5)), CONTENT, FILES)
    forged = freeze.to_yaml(replace(lock, groups={**lock.groups, "kl": other.groups["kl"]}))
    with pytest.raises(IntegrityError, match="its fingerprint"):
        freeze.from_yaml(forged, "lock")


def test_changed_and_missing_files_are_named_with_their_group(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    freeze.verify_files(lock, dict(FILES), "run")
    with pytest.raises(IntegrityError, match=r"inputs/eval\.jsonl \(group eval_set\) was changed after freezing"):
        freeze.verify_files(lock, {**FILES, "inputs/eval.jsonl": "3" * 64}, "run")
    with pytest.raises(IntegrityError, match=r"config\.yaml \(group config\) is missing"):
        freeze.verify_files(lock, {**FILES, "config.yaml": None}, "run")


@pytest.mark.parametrize("path", sorted(freeze.LEFT_OUT_AT))
def test_a_key_that_came_later_is_left_out_at_the_value_that_earlier_runs_had(experiment, path):
    group, name = path.split(".")
    assert getattr(getattr(experiment, group), name) == freeze.LEFT_OUT_AT[path]  # so a lock of before still agrees
    assert path not in freeze.freeze(experiment, CONTENT, FILES).groups["ppo"].values


def test_a_later_key_with_another_value_is_frozen(experiment):
    ppo = experiment.ppo.model_copy(update={"dual_clip": 3.0})
    values = freeze.freeze(changed(experiment, ppo=ppo), CONTENT, FILES).groups["ppo"].values
    assert values["ppo.dual_clip"] == 3.0


def test_a_changed_config_value_is_named_with_its_group(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    freeze.verify_config(lock, changed(experiment, name="other"), "run")
    with pytest.raises(IntegrityError, match="group kl"):
        freeze.verify_config(lock, changed(experiment, kl=Kl(coef=0.5)), "run")


def test_adapters_put_in_where_there_were_none_are_noticed(experiment):
    bare = changed(experiment, model=experiment.model.model_copy(update={"train": TrainedPart(lora=None)}))
    with pytest.raises(IntegrityError, match="group trained_part"):
        freeze.verify_config(freeze.freeze(bare, CONTENT, FILES), experiment, "run")


def test_where_a_file_of_a_reward_term_lies_is_no_part_of_the_digest(experiment):
    def lock(function):
        reward = Reward(terms={"mine": {"type": "python", "function": function, "pairs": "/kept/as/it/is"}})
        return freeze.freeze(changed(experiment, reward=reward), {}, {})

    assert lock("/a/mine.py:score").fingerprint == lock("/b/c/mine.py:score").fingerprint
    assert lock("/a/mine.py:score").fingerprint != lock("/a/mine.py:other").fingerprint
    assert lock("/a/mine.py:score").groups["reward"].values["reward.terms.mine.pairs"] == "/kept/as/it/is"


def test_changed_content_names_what_differs(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    freeze.verify_content(lock, "rendered", {"eval": "bb"}, "run")
    with pytest.raises(IntegrityError, match=r"group rendered is not what was frozen \(eval differ\)"):
        freeze.verify_content(lock, "rendered", {"eval": "cc"}, "run")


def test_row_digest_ignores_key_order_and_sees_every_value():
    rows = [{"id": "a", "prompt": "p"}]
    assert freeze.digest_rows(rows) == freeze.digest_rows([{"prompt": "p", "id": "a"}])
    assert freeze.digest_rows(rows) != freeze.digest_rows([{"id": "a", "prompt": "p "}])
    assert freeze.digest_rows(rows * 2) != freeze.digest_rows(rows)


def test_a_placebo_has_another_lock_whose_only_difference_it_is(experiment):
    reward = experiment.reward.model_copy(update={"placebo": True})
    usual, placebo = (
        freeze.freeze(setting, CONTENT, FILES)
        for setting in (experiment, experiment.model_copy(update={"reward": reward}))
    )
    assert placebo.groups["reward"].values["reward.placebo"] is True
    assert group_differences(usual, placebo, "reward") == {"reward.placebo": (False, True)}


def test_a_key_that_came_later_leaves_the_digests_of_earlier_runs_as_they_are(experiment):
    before = freeze.freeze(experiment, CONTENT, FILES)
    assert "ppo.optimizer" not in before.groups["ppo"].values
    after = freeze.freeze(changed(experiment, ppo=Ppo(optimizer="adamw_8bit")), CONTENT, FILES)
    assert group_differences(before, after, "ppo") == {"ppo.optimizer": (None, "adamw_8bit")}
    passes = changed(experiment, ppo=Ppo(tokens_per_pass=512))
    assert freeze.freeze(passes, CONTENT, FILES).fingerprint == before.fingerprint
