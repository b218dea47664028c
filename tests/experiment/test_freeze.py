"""The freeze lock: what changes a digest, and who notices."""

from dataclasses import replace

import pytest
import yaml

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment import freeze
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Ppo, Prompts, Reward, Term, TrainedPart

CONTENT = {"eval_set": {"rows": 2, "rows_sha256": "aa"}, "rendered": {"eval": "bb"}}
FILES = {"config.yaml": "1" * 64, "inputs/eval.jsonl": "2" * 64}


@pytest.fixture
def experiment():
    return Experiment(
        name="x",
        goal="g",
        model=Model(start="builtin:smollm2-135m-instruct"),
        prompts=Prompts(train="t", eval="e"),
        reward=Reward(terms={"ended": Term(weight=1.0)}),
    )


def test_one_and_one_point_nought_are_one_value_after_typing():
    assert sha256_of({"coef": 1}) != sha256_of({"coef": 1.0})
    assert freeze.freeze(Experiment(kl=Kl(coef=float("1"))), {}, {}).fingerprint == (
        freeze.freeze(Experiment(kl=Kl(coef=1.0)), {}, {}).fingerprint
    )


def test_a_treatment_changes_its_group_alone(experiment):
    before = freeze.freeze(experiment, CONTENT, FILES)
    after = freeze.freeze(replace(experiment, kl=Kl(coef=0.5)), CONTENT, FILES)
    differing = [name for name in before.groups if before.groups[name].digest != after.groups[name].digest]
    assert differing == ["kl"]
    assert before.fingerprint != after.fingerprint


def test_free_keys_change_nothing(experiment):
    looks = Evaluation(every=1, interim_prompts=3)
    free = replace(experiment, name="y", output="elsewhere", tracking=["wandb"], evaluation=looks)
    assert freeze.freeze(free, CONTENT, FILES).fingerprint == freeze.freeze(experiment, CONTENT, FILES).fingerprint


def test_yaml_round_trip(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    assert freeze.from_yaml(freeze.as_yaml(lock), "lock") == lock


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rows: 2", "rows: 3", "edited after freezing: group eval_set"),
        ("schema: ppo-freeze/1", "schema: ppo-freeze/9", "was frozen by ppo-freeze/9"),
        ("groups:", "gruops:", "is damaged"),
    ],
)
def test_an_edited_lock_is_noticed(experiment, old, new, message):
    text = freeze.as_yaml(freeze.freeze(experiment, CONTENT, FILES))
    assert old in text
    with pytest.raises(IntegrityError, match=message):
        freeze.from_yaml(text.replace(old, new, 1), "lock")


def test_a_changed_digest_is_noticed_by_the_fingerprint(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    other = freeze.freeze(replace(experiment, kl=Kl(coef=0.5)), CONTENT, FILES)
    forged = freeze.as_yaml(replace(lock, groups={**lock.groups, "kl": other.groups["kl"]}))
    with pytest.raises(IntegrityError, match="its fingerprint"):
        freeze.from_yaml(forged, "lock")


def test_changed_and_missing_files_are_named_with_their_group(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    freeze.verify_files(lock, dict(FILES), "run")
    with pytest.raises(IntegrityError, match=r"inputs/eval\.jsonl \(group eval_set\) was changed after freezing"):
        freeze.verify_files(lock, {**FILES, "inputs/eval.jsonl": "3" * 64}, "run")
    with pytest.raises(IntegrityError, match=r"config\.yaml \(group config\) is missing"):
        freeze.verify_files(lock, {**FILES, "config.yaml": None}, "run")


def test_a_changed_config_value_is_named_with_its_group(experiment):
    lock = freeze.freeze(experiment, CONTENT, FILES)
    freeze.verify_config(lock, replace(experiment, name="other"), "run")
    with pytest.raises(IntegrityError, match="group kl"):
        freeze.verify_config(lock, replace(experiment, kl=Kl(coef=0.5)), "run")


def frozen_without(experiment, *paths):
    """The lock of an experiment as a version wrote it that did not have these keys yet."""
    lock = freeze.freeze(experiment, CONTENT, FILES)
    document = yaml.safe_load(freeze.as_yaml(lock))
    groups = document["groups"]
    for path in paths:
        for name in list(groups):
            if groups[name]["values"].pop(path, None) is not None and not groups[name]["values"]:
                del groups[name]
    for group in groups.values():
        group["digest"] = sha256_of(group["values"])
    document["fingerprint"] = sha256_of(
        {"schema": freeze.LOCK_FORMAT, **{name: group["digest"] for name, group in groups.items()}}
    )
    return freeze.from_yaml(yaml.safe_dump(document, sort_keys=False), "lock")


@pytest.mark.parametrize("path", ["ppo.critic", "reward.other_samples", "seed"])
def test_a_lock_written_before_a_key_existed_still_holds(experiment, path):
    old, today = frozen_without(experiment, path), freeze.freeze(experiment, CONTENT, FILES)
    assert old.groups != today.groups
    verified = freeze.verify_config(old, experiment, "run")
    assert verified.groups == today.groups
    assert verified.fingerprint == old.fingerprint


@pytest.mark.parametrize(
    "edited",
    [
        {"ppo": Ppo(critic="layers")},
        {"kl": Kl(coef=0.5)},
        {"reward": Reward(terms={"ended": Term(weight=1.0), "on_topic": Term()})},
        {"model": Model(start="builtin:smollm2-135m-instruct", train=TrainedPart(lora=None))},
    ],
)
def test_a_lock_written_before_a_key_existed_notices_every_other_value(experiment, edited):
    old = frozen_without(experiment, "ppo.critic")
    with pytest.raises(IntegrityError, match="was changed after freezing"):
        freeze.verify_config(old, replace(experiment, **edited), "run")


def test_adapters_put_in_where_there_were_none_are_noticed(experiment):
    bare = replace(experiment, model=replace(experiment.model, train=TrainedPart(lora=None)))
    with pytest.raises(IntegrityError, match="group trained_part"):
        freeze.verify_config(freeze.freeze(bare, CONTENT, FILES), experiment, "run")


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
