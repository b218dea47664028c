"""Screens of the commands before a training: init, dry run, sft-check, reward."""

import pytest

from ppo_cli.records.results import (
    InitResult,
)
from ppo_cli.reports.screens.dry_run import dry_run_screen
from ppo_cli.reports.screens.init import init_screen
from ppo_cli.reports.screens.reward import reward_screen
from ppo_cli.reports.screens.sft_check import sft_check_screen
from tests.reports.test_screens import check_result, dry_run_outcome, reward_outcome, words


@pytest.mark.parametrize(
    ("outcome", "verdict", "mark"),
    [
        ("pass", "PPO can start.", "✓ pass"),
        ("warn", "read the checks marked warn", "! warn"),
        ("fail", "should not", "✗ fail"),
    ],
)
def test_a_check_says_whether_ppo_can_start(shown, outcome, verdict, mark):
    text = shown(sft_check_screen(check_result(outcome)), 60)
    assert verdict in text.splitlines()[-1]
    assert mark in text
    assert "12%" in text
    assert "│ (empty)" in text


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_check_shows_value_threshold_reason_and_next_step_at_any_width(shown, width):
    text = words(shown(sft_check_screen(check_result("fail")), width))
    for part in ("answers end", "12%", "50% or more", "It depends.", "Fix it."):
        assert part in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_reward_audit_shows_exploits_and_terms(shown, width):
    text = words(shown(reward_screen(reward_outcome()), width))
    assert "empty +0.25 +1.00 [+0.50, +1.50] −0.30 [−0.40, −0.20] beats the start model" in text
    assert "ended 0.50 0.25 0.00 1.00" in text
    assert "+2.00 why? because" in text
    assert "The reward can be used; read the checks marked warn first." in text


def test_a_dry_run_shows_keys_and_cost(shown):
    text = words(shown(dry_run_screen(dry_run_outcome())))
    assert "1920 episodes, about 1 h 05 min, 2.0 GB of memory and 1.5 GB of disk on cpu (measured 55 GFLOP/s)" in text
    assert "kl.coef 0.05 treatment override 0.15" in text
    assert "round 1, is it controllable: only kl, seed may differ from the parent run" in text
    unknown = dict.fromkeys(("seconds", "memory_gb", "disk_gb", "gflops"))
    assert "unknown until the model is downloaded" in shown(dry_run_screen(dry_run_outcome(**unknown)))


def test_init_says_what_was_written_and_what_comes_next(shown):
    made = InitResult(
        folder="exp",
        config="exp/ppo.yaml",
        prompts={"eval.jsonl": 150},
        model="builtin:x",
        goal="Be kind.",
        primary="refusal.separation",
        reward={"matches_expect": 1.0},
    )
    text = words(shown(init_screen(made)))
    assert "prompts/eval.jsonl 150 prompts" in text
    assert text.endswith("check first ppo sft-check exp/ppo.yaml train ppo train exp/ppo.yaml")
