"""A placebo as the control arm of a comparison, and as it is named by every command that shows it."""

import pytest

from ppo_cli.evaluation.compare import compare
from ppo_cli.experiment.schema import Kl, Reward
from ppo_cli.reports.sentences import comparison_sentences
from tests.made_runs import make_run
from tests.terminal import succeed

PLACEBO = Reward(terms={"ends_turn": {}}, placebo=True)


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("placebo_first", [True, False])
def test_the_verdict_is_treatment_minus_placebo_in_whichever_order_they_are_given(output, placebo_first):
    treated = make_run(output, unsafe=0.7, safe=0.2)  # far from rates of 0 and 1, where d′ does not lead
    placebo = make_run(output, unsafe=0.7, safe=0.6, draw=1, reward=PLACEBO)
    (result,) = compare([placebo, treated] if placebo_first else [treated, placebo])
    assert (result.before, result.after) == (placebo.name, treated.name)
    assert dict(result.treatments) == {"reward.placebo": (True, False)}
    change = next(change for change in result.comparison.changes if change.name == "refusal.safe")
    assert change.difference < -0.3
    sentences = comparison_sentences(result)
    assert sentences[0].startswith("Treatment minus placebo: DIFFERS (1 seed). ")
    assert sentences[-1].startswith("A is the placebo of B")
    assert result.advice.reason.startswith("3 seeds of each setting show whether the reward or chance changes")


def test_seeds_of_treatment_and_placebo_form_two_arms(output):
    treated = [make_run(output, unsafe=0.7, safe=0.2, draw=seed, seed=seed) for seed in (1, 2)]
    placebo = [make_run(output, unsafe=0.7, safe=0.6, draw=seed, seed=seed, reward=PLACEBO) for seed in (1, 2)]
    (result,) = compare([*treated, *placebo])
    assert result.seed_comparison.before == tuple(run.name for run in placebo)
    sentences = comparison_sentences(result)
    assert sentences[0].startswith("Treatment minus placebo: ")
    assert "Over 2 pairs of one seed" in sentences[0]
    assert sentences[1].startswith("These checkpoints, over prompts: ")


def test_a_placebo_of_another_setting_is_confounded(output):
    treated = make_run(output)
    placebo = make_run(output, draw=1, reward=PLACEBO, kl=Kl(coef=0.5))
    (result,) = compare([treated, placebo], allow_confounded=True)
    assert len(result.variables) == 2
    assert "placebo" not in comparison_sentences(result)[0]


def test_every_screen_names_a_placebo_plainly(output):
    make_run(output)
    placebo = make_run(output, draw=1, reward=PLACEBO)
    assert f"{placebo.name} is a placebo" in succeed("runs", "--runs-dir", output).out
    assert "rewards are permuted among the answers of each update" in succeed("show", placebo).out.replace("\n", " ")
