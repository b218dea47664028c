"""`ppo compare` with few prompts: clusters of prompts, and conditions that the interval does not rule out."""

import pytest

from ppo_cli.evaluation.compare import compare
from ppo_cli.experiment.schema import Evaluation, Kl
from tests.made_runs import make_run
from tests.terminal import ppo, succeed


@pytest.fixture
def pair(tmp_path):
    return make_run(tmp_path, safe=0.6), make_run(tmp_path, safe=0.2, draw=2, kl=Kl(coef=0.5))


def test_a_condition_that_is_not_ruled_out_fails_unless_the_estimate_is_asked_for(pair):
    screen = ppo("compare", *pair, "--fail-if", "refusal.safe > 0.3")
    assert screen.code == 100
    assert "--fail-if: refusal.safe > 0.3 is not ruled out: " in screen.err
    assert "What is not ruled out needs more prompts; estimate(…) judges the estimate alone." in screen.err
    said = succeed("compare", *pair, "--fail-if", "estimate(refusal.safe) > 0.3").out
    assert "--fail-if estimate(refusal.safe) > 0.3 is not met: " in said


def test_the_clusters_of_the_earlier_run_make_the_intervals_of_both(tmp_path):
    first, second = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"
    clustered, alone = Evaluation(cluster="category"), Evaluation()

    def safe(earlier, later, folder):
        a = make_run(tmp_path / folder, safe=0.6, started=first, evaluation=earlier)
        b = make_run(tmp_path / folder, safe=0.4, draw=2, started=second, evaluation=later, kl=Kl(coef=0.5))
        (found,) = compare([a, b], runs_dir=tmp_path / folder)
        return next(change for change in found.comparison.changes if change.name == "refusal.safe")

    none, both, one = (
        safe(*settings, folder)
        for settings, folder in (((alone, alone), "x"), ((clustered, clustered), "y"), ((clustered, alone), "z"))
    )
    assert (none.difference, none.prompts) == (both.difference, both.prompts)
    assert both.high_95 - both.low_95 > none.high_95 - none.low_95  # four topics
    assert both.p_value > none.p_value
    assert one == both
