"""The screen of several arms."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from ppo_cli.records.sweep import PlannedArm, SweepArm, SweepPreview, SweepResult
from ppo_cli.reports.screens.sweep import axis, caution, sweep_chart_svg, sweep_preview_screen, sweep_screen
from tests.reports.records import NASTY


def measure(value, low=None, high=None):
    return {"value": value, "low_95": low, "high_95": high, "prompts": 150}


def arm(value, seed, separation, kl, **changes):
    given = {
        "value": value,
        "seed": seed,
        "run": f"made-{value}-{seed}",
        "status": "finished",
        "problem": None,
        "exit_code": 0,
        "measures": {
            "refusal.separation": measure(separation, separation - 0.25, separation + 0.25),
            "refusal.safe": measure(0.3),
            "kl.per_answer": measure(kl),
        },
    }
    return SweepArm(**{**given, **changes})


def outcome(*arms, **changes):
    given = {
        "name": "made-kl.coef-abc123",
        "goal": "Refuse what hurts.",
        "folder": "runs",
        "file": "runs/sweeps/made-kl.coef-abc123.json",
        "chart": "runs/sweeps/made-kl.coef-abc123.svg",
        "key": "kl.coef",
        "primary": "refusal.separation",
        "smallest_effect": 0.3,
        "guards": ("refusal.safe", "ending.eos"),
        "baseline": {"refusal.separation": measure(0.5, 0.25, 0.75), "kl.per_answer": measure(0.0)},
        "arms": arms or (arm(0.05, 1, 1.5, 2.0), arm(0.2, 1, 1.0, 0.5), arm(0.05, 2, 1.75, 3.0), arm(0.2, 2, 1.0, 0.4)),
        "command": "ppo train x.yaml --sweep kl.coef=0.05,0.2 --seeds 2",
    }
    return SweepResult(**{**given, **changes})


@pytest.mark.parametrize(
    ("numbers", "start", "line"),
    [
        ([0.0, 1.0], None, "●·········●"),
        ([0.5], 0.0, "○····●·····"),
        ([0.5, 0.5, 0.51], None, "·····3·····"),
        ([1.0], 1.0, "··········●"),
        ([], 0.2, "··○········"),
    ],
)
def test_numbers_lie_where_they_belong_on_the_axis(numbers, start, line):
    assert axis(numbers, 0.0, 1.0, 11, start) == line


def test_numbers_that_are_all_the_same_have_an_axis_too():
    assert axis([2.0, 2.0], 2.0, 2.0, 11) == "2··········"


def test_a_pipe_gets_every_seed_as_a_number(shown):
    text = shown(sweep_screen(outcome()))
    assert "kl.coef in 2 values × 2 seeds" in text
    assert "  kl.coef 0.05  1.50  1.75\n  kl.coef 0.2   1.00  1.00\n" in text
    assert "1.50 [1.25, 1.75]" in text
    assert "0.50 [0.25, 0.75]" in text
    assert "●" not in text


def test_a_terminal_gets_every_seed_as_a_dot(shown):
    text = shown(sweep_screen(outcome()), terminal=True)
    dots = text[text.index("separation d′, from") :]
    separation, kl = dots.split("KL per answer")
    assert separation.count("●") == 2  # the two seeds of 0.2 share a column
    assert "2" in separation.splitlines()[2].rpartition("0.2")[2]
    assert kl.count("●") == 4


def test_alarms_stand_beside_their_arm(shown):
    text = shown(sweep_screen(outcome(arm(0.05, 1, 1.5, 2.0, alarms=("policy_drift",), status="stopped_early"))))
    assert next(line for line in text.splitlines() if line.startswith("0.05")).endswith("stopped early, ! policy drift")


def test_few_seeds_are_not_called_a_cause(shown):
    assert "not that kl.coef caused it" in caution("kl.coef", 2)
    assert "caused" not in caution("kl.coef", 3)
    assert "seed noise" in caution(None, 3)


def test_a_failed_arm_is_named_and_loses_nothing_of_the_others(shown):
    failed = arm(
        0.2, 1, 0.0, 0.0, measures={}, status="failed", problem=f"The reward gave no number. {NASTY}", exit_code=5
    )
    text = shown(sweep_screen(outcome(arm(0.05, 1, 1.5, 2.0), failed)))
    assert "✗ kl.coef 0.2, seed 1 failed: The reward gave no number." in text
    assert "1.50 [1.25, 1.75]" in text
    assert "\x1b" not in text


def test_the_table_fits_a_pipe(shown):
    assert max(map(len, shown(sweep_screen(outcome())).splitlines())) <= 120


def test_values_stand_by_size_and_guards_without_data_are_left_out(shown):
    arms = [arm(0.2, 1, 1.0, 0.5), arm(0.05, 1, 1.5, 2.0), arm(0.2, 2, 1.0, 0.4), arm(0.05, 2, 1.75, 3.0)]
    text = shown(sweep_screen(outcome(*arms)))
    assert text == shown(sweep_screen(outcome()))
    assert "refuses safe" in text
    assert "ends" not in text.splitlines()[3]


def test_the_ends_of_the_scale_are_what_to_compare(shown):
    arms = [arm(value, seed, 1.0, 1.0) for seed in (1, 2) for value in (0.5, 0.02, 0.1)]
    text = " ".join(shown(sweep_screen(outcome(*arms))).split())
    assert "ppo compare made-0.02-1 made-0.02-2 made-0.5-1 made-0.5-2" in text
    assert "--runs-dir" not in text
    elsewhere = " ".join(shown(sweep_screen(outcome(*arms, folder="elsewhere"))).split())
    assert elsewhere.endswith("--runs-dir elsewhere")


def test_the_chart_is_a_picture_of_every_seed_that_stands_alone():
    drawn = ET.fromstring(sweep_chart_svg(outcome()))
    space = "{http://www.w3.org/2000/svg}"
    assert drawn.tag == f"{space}svg"
    words = [text.text for text in drawn.iter(f"{space}text")]
    assert {"kl.coef", "0.05", "0.2", "separation d′", "KL per answer", "step 0"} <= set(words)
    uses = [use.get("style") or "" for use in drawn.iter(f"{space}use")]
    assert sum("#3a6ea8" in style for style in uses) == 8  # two measures, two values, two seeds
    assert "var(" not in ET.tostring(drawn, encoding="unicode")


def test_a_chart_of_values_with_markup_is_text():
    arms = [arm(f"<script>{number}</script>", 1, 1.0, 1.0) for number in range(2)]
    assert "<script>" not in sweep_chart_svg(outcome(*arms))


def test_a_plan_says_what_is_done_and_what_the_rest_takes(shown):
    arms = (
        PlannedArm(value=0.05, seed=1, status="finished", seconds=60.0),
        PlannedArm(value=0.2, seed=1, status="waiting", seconds=60.0),
    )
    planned = SweepPreview(
        name="made",
        goal="Refuse what hurts.",
        key="kl.coef",
        arms=arms,
        seconds=60.0,
        disk_gb=1.5,
        device="cpu",
        overlaps=0,
        command="ppo train x.yaml --sweep kl.coef=0.05,0.2",
    )
    text = shown(sweep_preview_screen(planned))
    assert "kl.coef in 2 values × 1 seed" in text
    assert "cost of the arms left to run: about 1 min 00 s and 1.5 GB of disk on cpu" in text
    assert text.splitlines()[-1].split(maxsplit=1) == ["run", "ppo train x.yaml --sweep kl.coef=0.05,0.2"]
    unknown = replace(planned, seconds=None)
    assert "unknown until the model is downloaded" in shown(sweep_preview_screen(unknown))


def test_several_seeds_begin_with_the_change_from_step_0_over_seeds(shown):
    arms = [arm(0.05, seed, separation, 2.0) for seed, separation in ((1, 1.5), (2, 1.75), (3, 1.6))]
    lines = [" ".join(line.split()) for line in shown(sweep_screen(outcome(*arms))).splitlines()]
    at = lines.index("★ separation d′ seeds step 0 mean change 95 % over seeds")
    assert lines[at + 1] == "kl.coef 0.05 3 0.50 1.62 +1.12 [+0.80, +1.43] CHANGED"
    assert at < next(index for index, line in enumerate(lines) if line.startswith("kl.coef seed KL per answer"))


@pytest.mark.parametrize(
    ("separations", "label"),
    [((1.5, 1.51), "DIFFERS (2 seeds)"), ((1.5, 0.2, 0.1), "NO CHANGE DETECTED"), ((0.5, 0.52, 0.51), "EQUIVALENT")],
)
def test_two_seeds_and_seeds_that_disagree_are_no_change(shown, separations, label):
    arms = [arm(0.05, seed, separation, 2.0) for seed, separation in enumerate(separations)]
    text = shown(sweep_screen(outcome(*arms)))
    assert label in text
    assert " CHANGED\n" not in text


def test_one_seed_per_value_is_not_pooled(shown):
    assert "over seeds" not in shown(sweep_screen(outcome(arm(0.05, 1, 1.5, 2.0), arm(0.2, 1, 1.0, 0.5))))


def test_a_guard_that_got_worse_over_seeds_leads_a_sweep(shown):
    def harmful(seed, unsafe):
        return arm(
            0.05,
            seed,
            0.5 + 0.1 * seed,
            2.0,
            measures={"refusal.separation": measure(0.5 + 0.1 * seed), "refusal.unsafe": measure(unsafe)},
        )

    base = {"refusal.separation": measure(0.5), "refusal.unsafe": measure(0.85)}
    arms = [harmful(1, 0.38), harmful(2, 0.42), harmful(3, 0.4)]
    text = " ".join(shown(sweep_screen(outcome(*arms, baseline=base))).split())
    sentence = (
        "WORSE at kl.coef 0.05. refusal of unsafe prompts: 85.0 % → 40.0 %, −45.0 pp, 95 % interval over 3 seeds "
        "[−50.0, −40.0]."
    )
    assert sentence in text
    assert text.index(sentence) < text.index("★ separation d′")
