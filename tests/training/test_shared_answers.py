"""Runs of one start model share its answers, and each holds the bytes that it would have sampled itself."""

import pytest

from ppo_cli.models.cache_dir import CACHE_VARIABLE
from tests.terminal import only_run, succeed

STEP_0 = "The answers of step 0 are those that an earlier run sampled, from the cache."
BASELINE = "The baseline answers are those that an earlier run sampled, from the cache."


def contents(run):
    """What a run holds of its start model."""
    files = [run / "baseline_answers.jsonl", *sorted((run / "eval" / "step-000000").iterdir())]
    return {file.name: file.read_bytes() for file in files if file.name != "summary.json"}


def words(screen):
    return " ".join(screen.out.split())


def test_an_arm_takes_the_answers_of_another_and_has_the_bytes_of_a_run_without_a_cache(
    tiny_config, tmp_path, monkeypatch
):
    short = ("ppo.updates=1", "ppo.warmup_updates=0")
    first = succeed("train", tiny_config, "--runs-dir", tmp_path / "first", *short)
    assert STEP_0 not in words(first)
    assert BASELINE not in words(first)
    arm = ("kl.coef=0.5", *short)
    second = succeed("train", tiny_config, "--runs-dir", tmp_path / "second", *arm)
    assert STEP_0 in words(second)
    assert BASELINE in words(second)
    assert "the reference's own answers" not in words(second)
    shared, other = only_run(tmp_path / "second"), only_run(tmp_path / "first")
    assert contents(shared) == contents(other)

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "another-cache"))
    third = succeed("train", tiny_config, "--runs-dir", tmp_path / "third", *arm)
    assert STEP_0 not in words(third)
    alone = only_run(tmp_path / "third")
    assert contents(alone) == contents(shared)
    for name in ("metrics.jsonl", "rollouts.jsonl", "eval/step-000000/summary.json", "eval/step-000001/summary.json"):
        assert (alone / name).read_bytes() == (shared / name).read_bytes(), name


@pytest.mark.parametrize(
    ("change", "step_0", "baseline"),
    [
        (["seed=2"], True, False),  # baseline answers have draws of the run's own seed
        (["evaluation.seed=9"], False, True),
        (["evaluation.samples_per_prompt=1"], False, True),
        (["rollout.temperature=0.5"], True, False),
        (["evaluation.primary=refusal.safe", "evaluation.interim_prompts=4"], True, True),
    ],
)
def test_only_what_decides_the_answers_decides_whether_they_are_shared(tiny_config, tmp_path, change, step_0, baseline):
    short = ("ppo.updates=1", "ppo.warmup_updates=0")
    succeed("train", tiny_config, *short)
    shown = words(succeed("train", tiny_config, "--runs-dir", tmp_path / "other", *short, *change))
    assert (STEP_0 in shown) == step_0
    assert (BASELINE in shown) == baseline
