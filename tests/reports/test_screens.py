"""The screens that end a command, from hand-made records."""

import re

import pytest

from ppo_cli.records.checks import Check, MeanDifference, RewardExploit
from ppo_cli.records.measures import Estimate
from ppo_cli.records.results import (
    ComparisonResult,
    ConfigKeyRow,
    Cost,
    DryRunResult,
    EvaluationResult,
    InitResult,
    PreflightResult,
    RewardAuditResult,
    RunRow,
)
from ppo_cli.records.training import BestCheckpoint, RunState
from ppo_cli.reports.screens.compare import comparison_screen
from ppo_cli.reports.screens.dry_run import dry_run_screen
from ppo_cli.reports.screens.evaluate import evaluation_screen
from ppo_cli.reports.screens.init import init_screen
from ppo_cli.reports.screens.reward import reward_screen
from ppo_cli.reports.screens.runs import runs_screen
from ppo_cli.reports.screens.sft_check import sft_check_screen
from ppo_cli.reports.screens.train import training_screen
from ppo_cli.reports.sentences import attribution, behaviour_sentences
from ppo_cli.reports.tables import behaviour_table
from tests.reports.records import (
    ADVICE,
    NASTY,
    SAFE,
    SEPARATION,
    UNSAFE,
    alarm,
    change,
    comparison,
    flip,
    training_outcome,
)

NASTY_TEXTS = dict.fromkeys(("folder", "config", "model", "goal", "primary"), NASTY)

LITERAL = "[red]x[/red] [/] [bold"
STEERING = "\x1b\x07\x9b\r\u202e"


def comparison_outcome(**values):
    given = {
        "before": "base",
        "after": "other",
        "goal": "Refuse what hurts.",
        "steps": (30, 30),
        "same_groups": ("eval_set", "rendered"),
        "treatments": {"kl.coef": (0.15, 0.05)},
        "seeds": (1, 1),
        "confounders": {},
        "same_run": False,
        "comparison": comparison(),
    }
    return ComparisonResult(**{**given, **values})


def evaluation_outcome(**values):
    given = {
        "name": "x/step-000010",
        "goal": "Refuse what hurts.",
        "folder": "runs/x/eval/step-000010",
        "rules": "refusal-1",
        "prompts": 150,
        "samples_per_prompt": 4,
        "estimates": (Estimate(name="refusal.unsafe", value=0.18, low_95=0.139, high_95=0.229, prompts=50),),
        "comparison": None,
    }
    return EvaluationResult(**{**given, **values})


def check_result(outcome="warn", text="It depends."):
    check = Check(
        name="answers end",
        status=outcome,
        value="12%",
        threshold="50% or more",
        reason=text,
        next_step="" if outcome == "pass" else "Fix it.",
    )
    return PreflightResult(
        name=text, goal=text, status=outcome, checks=(check,), examples=((text, text), ("Empty?", ""))
    )


def reward_outcome(text="because", prompt="why?"):
    margin = MeanDifference(mean=1.0, low_95=0.5, high_95=1.5, prompts=48)
    less = MeanDifference(mean=-0.3, low_95=-0.4, high_95=-0.2, prompts=48)
    trick = RewardExploit(
        name="empty",
        example=text,
        constant=True,
        reward=0.25,
        gain_over_start=margin,
        gain_over_written=less,
        wins="temporary",
    )
    return RewardAuditResult(
        name="a.yaml",
        goal="Be kind.",
        status="warn",
        checks=check_result("warn").checks,
        exploits=(trick,),
        answers=192,
        terms={"ended": (0.5, 0.25, 0.0, 1.0)},
        examples=((prompt, text, 2.0),),
    )


def dry_run_outcome(text="refusal", **cost):
    given = {
        "episodes": 1920,
        "seconds": 3900.0,
        "memory_gb": 2.04,
        "disk_gb": 1.5,
        "device": "cpu",
        "gflops": 55.4,
    }
    key = {"path": "kl.coef", "value": 0.05, "role": "treatment", "origin": "override", "replaces": 0.15}
    return DryRunResult(
        config="a.yaml",
        goal=text,
        round=1,
        question="is it controllable",
        may_change=("kl", "seed"),
        keys=(ConfigKeyRow(**key), ConfigKeyRow(**{**key, "path": "name", "value": text, "replaces": None})),
        train_prompts=300,
        eval_prompts=150,
        overlaps=0,
        cost=Cost(**{**given, **cost}),
    )


def run_row(name="x-s1", status="finished", **values):
    given = {
        "state": RunState(id=name, status=status, started="2025-01-01", updates_done=12),
        "updates": 30,
        "primary": "refusal.separation",
        "measures": {"refusal.separation": {"value": -1.504, "low": -2.0, "high": -1.0}},
        "step": 10,
        "config": {"kl.coef": 0.05, "name": "x"},
    }
    return RunRow(**{**given, **values})


def words(text):
    """Text without frames, on one line."""
    return " ".join(re.sub("[│╭╮╰╯]|─", " ", text).split())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_training_ends_with_what_happened_in_words_and_numbers(shown, width):
    text = shown(training_screen(training_outcome()), width)
    assert "…" not in text.replace("kl.coef=…", "")
    for sentence in (
        "WORSE. Ending within the limit fell: 90.0 % → 75.0 %, −15.0 pp, 95 % interval [−20.0, −10.0].",
        "DIFFERS (1 seed). Separation d′ rose: −0.25 → 1.50, +1.75, 95 % interval [+1.20, +2.30]. "
        "(p < 0.00025, 150 prompts × 4)",
        "Refuses 80.0 % of harmful requests (was 18.0 %): +62.0 pp [+55.1, +68.9].",
        "Refuses 29.0 % of harmless requests (was 30.0 %): −1.0 pp [−3.4, +1.4].",
        "1 of 150 prompts flipped (refusals changed by half or more); resampling step 0 alone would flip about 15.",
        "Reward in training, mean of one update each: −0.12 in the first, +0.50 in the last.",
        "KL in training, estimated in the last update: 3.46 nats per answer, 0.123 nats per token. kl.coef ended at "
        "0.15. The reference stayed frozen: same sha256 at start and end.",
        "ppo eval --checkpoint runs/refusal-kl0.15-s1-7f3a9c/checkpoints/step-000030 --prompts FILE",
    ):
        assert sentence in words(text)


def test_behaviour_comes_first_and_the_loss_last(shown):
    text = shown(training_screen(training_outcome()))
    parts = [
        "goal: ",
        "★ separation d′",
        "prompts flipped",
        "KL in training",
        "With one seed",
        "loss: policy −0.012",
    ]
    positions = [text.find(part) for part in parts]
    assert -1 not in positions
    assert positions == sorted(positions)


@pytest.mark.parametrize("best", [None, BestCheckpoint(step=30, value=1.5, last=1.5, prompts=48)])
def test_no_word_of_a_best_checkpoint_where_it_is_the_last(shown, best):
    assert "est at the interim" not in shown(training_screen(training_outcome(best=best)))


def test_a_best_checkpoint_in_between_is_named_and_nothing_concluded(shown):
    best = BestCheckpoint(step=20, value=1.625, last=1.5, prompts=48)
    text = words(shown(training_screen(training_outcome(best=best))))
    assert (
        "Best at the interim evaluations: step 20 with separation d′ 1.62 on their 48 prompts; step 30 has 1.50. "
        "The best of several evaluations is partly chance."
    ) in text
    assert "best checkpoint ppo eval --checkpoint runs/refusal-kl0.15-s1-7f3a9c/best" in text


def test_the_list_of_runs_names_the_best_of_a_run_that_ended_elsewhere(shown):
    def row(name, status, best):
        state = RunState(id=name, status=status, started="2025-01-01", updates_done=12, best_step=best)
        return run_row(state=state)

    rows = [row("a", "finished", 8), row("b", "stopped_early", 12), row("c", "running", 8), row("d", "finished", None)]
    text = shown(runs_screen(rows, [], "runs"))
    assert "a: best at the interim evaluations was step 8" in text
    assert text.count("best at") == 1


def test_a_training_that_ended_early_says_why(shown):
    outcome = training_outcome(updates=12, reason="KL passed kl.stop_at = 12.")
    text = words(shown(training_screen(outcome)))
    assert "stopped early after 12 updates" in text
    assert "Stopped early: KL passed kl.stop_at = 12. DIFFERS (1 seed)" in text


def test_a_primary_within_chance_is_called_no_change_anywhere(shown):
    outcome = training_outcome(comparison=comparison(SAFE, primary="refusal.safe", flips=()))
    text = words(shown(training_screen(outcome)))
    assert "NO CHANGE DETECTED. No detectable change in refusal of safe prompts: 30.0 % → 29.0 %" in text
    assert not any(word in text for word in (" DIFFERS", " rose", " fell", "▲", "▼", "✓", "✗"))


@pytest.mark.parametrize(
    "outcome",
    [
        training_screen(training_outcome()),
        evaluation_screen(evaluation_outcome(comparison=comparison())),
        comparison_screen([comparison_outcome()]),
        sft_check_screen(check_result()),
    ],
)
def test_minus_is_one_sign_and_significant_no_word(shown, outcome):
    text = shown(outcome)
    assert not re.search(r"(?<![\w-])-\d", text)
    assert "significan" not in text.lower()
    assert not re.search(r"[+−][\d.]+ %", text), "a difference of shares is in percentage points"


def test_an_evaluation_without_a_step_nought_shows_values_only(shown):
    text = words(shown(evaluation_screen(evaluation_outcome()), 60))
    assert "x/step-000010 goal: Refuse what hurts. 150 prompts × 4 answers" in text
    assert "refusal of unsafe prompts 18.0 % [13.9, 22.9] 50" in text
    assert "rules refusal-1; answers and scores in runs/x/eval/step-000010" in text


def test_an_evaluation_of_a_run_is_compared_with_step_nought(shown):
    text = words(shown(evaluation_screen(evaluation_outcome(comparison=comparison(SEPARATION, UNSAFE)))))
    assert "x/step-000010 against step 0" in text
    assert "★ separation d′ −0.25 1.50 +1.75 [+1.20, +2.30] ▲✓ DIFFERS (1 seed)" in text


def test_flips_are_named_by_what_the_primary_counts(shown):
    ended = comparison(change("ending.eos"), primary="ending.eos", flips=(flip(),))
    text = words(shown(evaluation_screen(evaluation_outcome(comparison=ended))))
    assert "(ended turns changed by half or more)" in text
    assert "ends 25 %" in text
    assert "refus" not in text.replace("Refuse", "").replace("rules refusal-1", "")


def test_a_run_judged_by_questions_back_shows_both_kinds_of_request_and_no_refusals_in_words(shown):
    selectivity = change("clarification.selectivity", before=0.2, after=0.5, difference=0.3, low_95=0.2, high_95=0.4)
    vague = change("clarification.wanted", before=0.8, after=0.9, difference=0.1, low_95=0.02, high_95=0.18)
    clear = change("clarification.unwanted", before=0.6, after=0.4, difference=-0.2, low_95=-0.3, high_95=-0.1)
    comparison_of_questions = comparison(selectivity, vague, clear, SAFE, primary="clarification.selectivity")
    assert behaviour_sentences(comparison_of_questions)[1:] == [
        "Asks back on 90.0 % of ambiguous requests (was 80.0 %): +10.0 pp [+2.0, +18.0].",
        "Asks back on 40.0 % of clear requests (was 60.0 %): −20.0 pp [−30.0, −10.0].",
    ]
    text = shown(behaviour_table(comparison_of_questions, "A", "B"))
    assert all(title in text for title in ("asks back, ambiguous prompts", "asks back, clear prompts"))
    refusals = comparison(change(), vague, clear)
    assert "asks back" not in shown(behaviour_table(refusals, "A", "B"))


@pytest.mark.parametrize("width", [60, 120])
def test_a_comparison_says_what_was_changed_and_which_way_to_read_it(shown, width):
    text = words(shown(comparison_screen([comparison_outcome()]), width))
    assert "kl.coef 0.15 → 0.05 is the only variable changed." in text
    assert "Comparable ✓ evaluation set ✓ prompts as tokens ✓ scored with the same rules" in text
    assert "A is the first run, B the second; change is B − A." in text


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seeds": (1, 2)}, "kl.coef 0.15 → 0.05 is the only variable changed, and the seed differs."),
        ({"treatments": {}, "seeds": (1, 2)}, "Only the seed differs: this difference is seed noise."),
        ({"treatments": {}}, "No setting differs: this checks that a run can be reproduced."),
        ({"same_run": True}, "A run compared with itself: every difference is exactly zero."),
        (
            {"treatments": {"kl.coef": (0.15, 0.05), "kl.target": (None, 6.0)}},
            "CONFOUNDED: 2 variables changed (kl.coef 0.15 → 0.05; kl.target null → 6); no effect can be attributed.",
        ),
    ],
)
def test_a_difference_is_attributed_to_one_variable_or_to_none(values, sentence):
    assert attribution(comparison_outcome(**values)) == sentence


def test_confounders_are_listed(shown):
    text = shown(comparison_screen([comparison_outcome(confounders={"torch": ("2.8", "2.9")}, seeds=(1, 2))]))
    assert "Confounder   ! torch  2.8 → 2.9" in text
    assert "Seed         1 → 2" in text


def test_the_list_of_runs_shows_what_differs_and_how_to_go_on(shown):
    damaged = run_row("torn", problem="run.json is damaged [/].", measures={}, primary="", config={}, step=None)
    rows = [run_row(), run_row("y-s1", "interrupted"), run_row("z-s1", config={"kl.coef": 0.2, "seed": 1}), damaged]
    text = words(shown(runs_screen(rows, ["kl.coef"], "runs"), width=120))
    assert "x-s1 finished 12/30 −1.50 (step 10) –" in text
    assert "z-s1 finished 12/30 −1.50 (step 10) kl.coef 0.2" in text
    assert "most runs: kl.coef 0.05" in text
    assert "torn unreadable" in text
    assert "torn cannot be read: run.json is damaged [/]." in text
    assert text.endswith("continue y-s1 ppo train --resume runs/y-s1")
    assert "No runs in runs." in shown(runs_screen([], [], "runs"))


@pytest.mark.parametrize(
    "screen",
    [
        training_screen(
            training_outcome(
                goal=NASTY,
                run=NASTY,
                reason=NASTY,
                checkpoint=NASTY,
                comparison=comparison(flips=(flip(prompt=NASTY, before_answer=NASTY, after_answer=NASTY),)),
            )
        ),
        evaluation_screen(evaluation_outcome(goal=NASTY, name=NASTY, folder=NASTY)),
        evaluation_screen(evaluation_outcome(goal=NASTY, name=NASTY, folder=NASTY, comparison=comparison())),
        comparison_screen(
            [
                comparison_outcome(
                    before=NASTY, goal=NASTY, treatments={NASTY: (NASTY, NASTY)}, confounders={NASTY: (NASTY, NASTY)}
                )
            ]
        ),
        sft_check_screen(check_result(text=NASTY)),
        reward_screen(reward_outcome(NASTY, NASTY)),
        dry_run_screen(dry_run_outcome(NASTY)),
        init_screen(InitResult(**NASTY_TEXTS, prompts={NASTY: 1}, reward={NASTY: 1.0})),
        runs_screen([run_row(NASTY, "interrupted", config={"[/]": NASTY}), run_row(problem=NASTY)], ["[/]"], NASTY),
    ],
    ids=["train", "eval", "eval against step 0", "compare", "sft-check", "reward", "dry run", "init", "runs"],
)
def test_text_of_a_model_or_a_user_is_shown_and_never_obeyed(shown, screen):
    text = shown(screen, width=1000)
    assert text.count(LITERAL) >= 2
    assert not any(sign in text for sign in STEERING)
    assert "\x1b[35m" not in shown(screen, width=1000, terminal=True)


def test_a_pipe_gets_no_escape_codes_and_no_color_gets_no_colours(shown, monkeypatch):
    screen = training_screen(training_outcome())
    colour = re.compile(r"\x1b\[(\d+;)*([34][0-8]|9\d|10\d)[;m]")
    assert "\x1b" not in shown(screen)
    assert colour.search(shown(screen, terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(shown(screen, terminal=True))
    assert "\x1b" not in shown(screen)


@pytest.mark.parametrize("width", [60, 120])
def test_alarms_stand_with_evidence_reason_and_remedy_and_one_advice_is_ready_to_paste(shown, width):
    rate = "raised in 1 of 250 healthy runs"
    outcome = training_outcome(alarms=(alarm(evidence=(NASTY, "entropy collapsed"), rate=rate),), advice=ADVICE)
    text = words(shown(training_screen(outcome), width))
    assert "▲ Policy drifted too far evidence [35mpink [0m ]0;title " in text
    assert "evidence entropy collapsed. why The policy loses fluency. next Raise the KL penalty: kl.coef=0.3." in text
    assert "kl.coef=0.3. rate raised in 1 of 250 healthy runs." in text
    assert "Alarms are hints, not proof; no alarm is no guarantee." in text
    assert "try next ppo train x/config.yaml kl.coef=0.3 because KL is over its limit." in text
    assert not any(sign in text for sign in STEERING)


def test_a_run_without_an_alarm_has_no_word_of_alarms(shown):
    assert "larm" not in shown(training_screen(training_outcome()))


def test_a_comparison_names_the_run_with_an_alarm(shown):
    alarms = {"base": (), "other": (alarm(rate="raised in 1 of 250 healthy runs"),)}
    text = words(shown(comparison_screen([comparison_outcome(alarms=alarms, advice=ADVICE)])))
    assert "▲ other Policy drifted too far: KL is 0.720 nats per token, over the limit of 0.5 (and 1 more)" in text
    assert "policy drift: raised in 1 of 250 healthy runs." in text
    assert "▲ base" not in text
    assert "try next ppo train x/config.yaml kl.coef=0.3" in text
