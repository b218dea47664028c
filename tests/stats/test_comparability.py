"""Which differences between two locks forbid, explain or only surround a comparison."""

import re

import pytest

from ppo_cli.experiment import freeze
from ppo_cli.experiment.schema import Evaluation, Experiment, Kl, Model, Ppo, Prompts, Reward
from ppo_cli.stats.comparability import comparability

CONTENT = {
    "start_model": {"weights": "w"},
    "train_set": {"rows": 3},
    "eval_set": {"rows": 2},
    "rendered": {"train": "t", "eval": "e"},
    "behaviours": {"refusal": "refusal/1"},
}
BASE = Experiment(
    name="x",
    goal="g",
    model=Model(start="builtin:x"),
    prompts=Prompts(train="t", eval="e"),
    reward=Reward(terms={"ends_turn": {}}),
)


def varied(experiment, **changes):
    return experiment.model_copy(update=changes)


def lock(experiment=BASE, **content):
    return freeze.freeze(experiment, {**CONTENT, **content}, {})


def held(a, b, circumstances=({}, {})):
    return comparability(a, b, *circumstances, same_run=False)


def test_nothing_differs():
    found = held(lock(), lock())
    assert found.refused == ()
    assert found.treatments == {}
    assert not found.is_confounded
    assert set(found.same_groups) == {"eval_set", "rendered", "generation"}


def test_one_treatment_is_named():
    found = held(lock(), lock(varied(BASE, kl=Kl(coef=0.5))))
    assert found.treatments == {"kl.coef": (0.15, 0.5)}
    assert not found.is_confounded


def test_two_treatments_are_confounded():
    found = held(lock(), lock(varied(BASE, kl=Kl(coef=0.5), ppo=Ppo(updates=7))))
    assert set(found.treatments) == {"kl.coef", "ppo.updates"}
    assert found.is_confounded


WARMER = varied(BASE, kl=Kl(coef=0.5, target=3.0))
TOGETHER = ("kl.coef", "kl.target")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (BASE, varied(WARMER, joint_treatment=TOGETHER)),
        (varied(BASE, joint_treatment=TOGETHER), WARMER),
        (varied(BASE, joint_treatment=TOGETHER), varied(WARMER, joint_treatment=TOGETHER)),
    ],
)
def test_keys_declared_to_move_together_are_one_variable(a, b):
    found = held(lock(a), lock(b))
    assert set(found.treatments) == {"kl.coef", "kl.target"}
    assert found.joint_variable == ("kl.coef", "kl.target")
    assert found.variables == ("kl.coef with kl.target",)
    assert not found.is_confounded
    assert "joint_treatment" not in found.confounders


def test_a_key_outside_of_the_declared_ones_confounds():
    found = held(lock(), lock(varied(WARMER, ppo=Ppo(updates=7), joint_treatment=TOGETHER)))
    assert found.variables == ("kl.coef with kl.target", "ppo.updates")
    assert found.is_confounded


def test_one_of_the_declared_keys_alone_is_that_key():
    found = held(lock(), lock(varied(BASE, kl=Kl(coef=0.5), ppo=Ppo(updates=7), joint_treatment=TOGETHER)))
    assert found.joint_variable == ()
    assert found.variables == ("kl.coef", "ppo.updates")


def test_other_sampling_is_compared_where_both_runs_declare_it():
    declared = ("evaluation.temperature",)
    a = varied(BASE, joint_treatment=declared)
    b = varied(a, evaluation=Evaluation(temperature=0.5))
    found = held(lock(a), lock(b))
    assert found.refused == ()
    assert "generation" not in found.same_groups
    assert found.treatments == {"evaluation.temperature": (0.7, 0.5)}
    assert held(lock(a), lock(varied(b, joint_treatment=()))).refused
    assert held(lock(a), lock(varied(b, evaluation=Evaluation(temperature=0.5, max_new_tokens=9)))).refused


def test_a_reward_term_more_is_a_treatment():
    found = held(lock(), lock(varied(BASE, reward=Reward(terms={"ends_turn": {}, "on_topic": {"weight": 0.3}}))))
    assert found.treatments == {"reward.terms.on_topic.weight": (None, 0.3)}


def test_seeds_are_not_a_treatment():
    found = held(lock(), lock(varied(BASE, seed=2)))
    assert found.treatments == {}
    assert found.seeds == (1, 2)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (lock(eval_set={"rows": 3}), "the evaluation sets differ"),
        (lock(rendered={"train": "t", "eval": "other"}), "as the models see them"),
        (
            lock(varied(BASE, evaluation=Evaluation(temperature=0.5))),
            r"sample differently \(evaluation.temperature 0.7 and 0.5\)",
        ),
    ],
)
def test_without_a_common_measure_there_is_no_comparison(other, reason):
    (found,) = held(lock(), other).refused
    assert re.search(reason, found)


def test_other_training_prompts_are_a_treatment_not_an_obstacle():
    found = held(lock(), lock(train_set={"rows": 9}, rendered={"train": "other", "eval": "e"}))
    assert found.refused == ()
    assert set(found.treatments) == {"prompts.train"}


def test_another_start_model_is_a_treatment():
    assert set(held(lock(), lock(start_model={"weights": "v"})).treatments) == {"model.start"}


def test_the_goals_wording_and_the_primary_are_noted_only():
    found = held(lock(), lock(varied(BASE, goal="h", evaluation=Evaluation(primary="refusal.safe"))))
    assert found.refused == ()
    assert found.treatments == {}
    assert set(found.confounders) == {"goal", "evaluation.primary"}


def test_circumstances_are_listed():
    found = held(lock(), lock(), ({"torch": "1", "git": "a"}, {"torch": "2", "git": "a"}))
    assert found.confounders == {"torch": ("1", "2")}
