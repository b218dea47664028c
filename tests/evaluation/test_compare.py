"""`ppo compare` on made runs: what it refuses, seeds as arms, seed noise, conditions for CI, start-up."""

import json
import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import FailConditionError
from ppo_cli.experiment.schema import Evaluation, Kl, Ppo, Reward
from tests.made_runs import make_run, seeds
from tests.terminal import ppo, process_environment, refused, succeed
from tests.tiny_models import rows


@pytest.fixture
def made(tmp_path):
    """Makes runs in the output folder."""
    output = tmp_path / "runs"
    output.mkdir()

    def made(**settings):
        return make_run(output, **settings)

    made.output = output
    return made


def one(*words):
    """The only outcome of a comparison."""
    (outcome,) = succeed("compare", *words, "--json").json
    return outcome


def primary(outcome):
    return outcome["comparison"]["changes"][0]


# --- what is refused and what is flagged ---------------------------------------------------------------


def test_other_evaluation_prompts_are_refused_or_compared_where_they_agree(made):
    a = made()
    changed = [*rows("eval", 50, start=200), *rows("more", 10, start=700)]
    b = made(eval_rows=changed, kl=Kl(coef=0.5), safe=0.1)
    assert "the evaluation sets differ" in refused("compare", a, b, code=3)
    assert "--common-prompts" in refused("compare", a, b, code=3)
    found = one(a, b, "--common-prompts")
    assert found["comparison"]["prompts"] == 50
    assert found["waived"] == ["PARTIAL: the evaluation sets differ; 20 prompts left out"]
    assert (
        "! PARTIAL: the evaluation sets differ; 20 prompts left out" in succeed("compare", a, b, "--common-prompts").out
    )


def test_the_folders_beside_the_runs_are_left_out(made):
    made(), made(kl=Kl(coef=0.5), safe=0.1)
    for name in ("evaluations", "sweeps"):
        (made.output / name).mkdir()
    everything = sorted(made.output.iterdir())
    assert len(everything) == 4
    assert one(*everything)["treatments"]["kl.coef"] == [0.1, 0.5]
    (made.output / "notes").mkdir()
    assert "is not a run folder" in refused("compare", *everything, made.output / "notes")


def test_a_page_that_cannot_be_written_names_the_option(made):
    (made.output / "full").write_text("")
    error = refused("compare", made(), made(kl=Kl(coef=0.5)), "--html", made.output / "full" / "page.html")
    assert "--html FILE" in error


def test_an_evaluation_of_another_run_is_refused(made):
    a, b = made(), made(kl=Kl(coef=0.5))
    shutil.rmtree(b / "eval")
    shutil.copytree(a / "eval", b / "eval")
    assert "holds the evaluation of another run" in refused("compare", a, b, code=4)


def test_an_evaluation_under_another_step_is_refused(made):
    a, b = made(), made(kl=Kl(coef=0.5))
    shutil.copytree(b / "eval" / "step-000004", b / "eval" / "step-000009")
    assert "holds the evaluation of another step" in refused("compare", a, b, code=4)
    (row,) = [row for row in succeed("runs", "--runs-dir", made.output, "--json").json if row["problem"]]
    assert "another step" in row["problem"]


def test_the_list_of_runs_shows_no_edited_summary(made):
    summary = made() / "eval" / "step-000004" / "summary.json"
    row = json.loads(summary.read_text())
    summary.write_text(json.dumps({**row, "measures": {"refusal.unsafe": {"value": 1.0}}}))
    (listed,) = succeed("runs", "--runs-dir", made.output, "--json").json
    assert "was edited" in listed["problem"]


def test_a_prompt_with_another_wording_is_no_common_one(made):
    reworded = [
        {**row, "prompt": row["prompt"] + " please"} if place < 7 else row
        for place, row in enumerate(rows("eval", 60, start=200))
    ]
    assert one(made(), made(eval_rows=reworded, kl=Kl(coef=0.5)), "--common-prompts")["comparison"]["prompts"] == 53


def test_sets_without_a_common_prompt_are_refused_even_so(made):
    other = made(eval_rows=rows("other", 60, start=700), kl=Kl(coef=0.5))
    assert "no prompt in common" in refused("compare", made(), other, "--common-prompts", code=3)


def test_other_rendered_prompts_are_refused_unless_allowed(made):
    template = {"start_model": {"weights": "w", "tokenizer": "t", "chat_template": "other", "system_prompt": None}}
    a, b = made(), made(content={"rendered": {"train": "t", "eval": "other"}, **template})
    said = refused("compare", a, b, code=3)
    assert "as the models see them" in said
    assert "--allow rendered" in said
    found = one(a, b, "--allow", "rendered")
    assert found["waived"][0].startswith("the prompts differ as the models see them")
    assert set(found["treatments"]) == {"model.start"}
    assert "--allow sampling is not known" in refused("compare", a, b, "--allow", "sampling")


def test_common_prompts_seen_through_another_template_are_refused(made):
    template = {"start_model": {"weights": "w", "tokenizer": "t", "chat_template": "other", "system_prompt": None}}
    b = made(eval_rows=rows("eval", 50, start=200), content=template)
    assert "as the models see them" in refused("compare", made(), b, "--common-prompts", code=3)


@pytest.mark.parametrize(
    "other", [{"temperature": 0.5}, {"max_new_tokens": 9}, {"samples_per_prompt": 3}, {"seed": 9}], ids=str
)
def test_other_sampling_is_refused_whatever_is_allowed(made, other):
    b = made(evaluation=Evaluation(**{"samples_per_prompt": 2, **other}))
    said = refused("compare", made(), b, "--common-prompts", "--allow", "rendered", "--allow-confounded", code=3)
    (key,) = other
    assert f"evaluation.{key}" in said


def test_answers_scored_by_older_rules_are_scored_anew(made):
    a, b = made(), made(content={"behaviours": {"refusal": "refusal/0"}}, kl=Kl(coef=0.5))
    assert set(one(a, b)["treatments"]) == {"kl.coef"}


def test_two_variables_are_refused_unless_allowed_and_then_said(made):
    a, b = made(), made(kl=Kl(coef=0.5), ppo=Ppo(updates=9))
    said = refused("compare", a, b, code=3)
    assert "Confounded: 2 variables differ (kl.coef, ppo.updates)" in said
    assert "Make the runs in between, one change each (first kl.coef=0.5 alone)" in said
    assert "CONFOUNDED: 2 variables changed" in succeed("compare", a, b, "--allow-confounded").out


def test_keys_declared_as_one_variable_are_compared_as_one(made):
    together = ["kl.coef", "kl.target"]
    a, b = made(), made(kl=Kl(coef=0.5, target=3.0), joint_treatment=together)
    found = one(a, b)
    assert found["joint_variable"] == together
    shown = succeed("compare", a, b, "--html", a / "page.html").out
    assert "Declared     kl.coef, kl.target as one variable, before training" in shown
    said = (
        "kl.coef 0.1 → 0.5 with kl.target null → 3: declared as one variable before training, and the only one changed."
    )
    assert said in " ".join(line.strip("│ ") for line in shown.splitlines())
    assert "declared as one variable" in (a / "page.html").read_text(encoding="utf-8")
    c = made(kl=Kl(coef=0.5, target=3.0), ppo=Ppo(updates=9), joint_treatment=together)
    assert "Confounded: 2 variables differ (kl.coef with kl.target, ppo.updates)" in refused("compare", a, c, code=3)
    assert "(first kl.coef=0.5 kl.target=3 alone)" in refused("compare", a, c, code=3)


def test_an_edited_run_is_not_compared(made):
    run, edited = made(), made(kl=Kl(coef=0.1, horizon=7))
    assert one(run, edited)["treatments"] == {"kl.horizon": [10_000, 7]}
    config = edited / "config.yaml"
    config.chmod(0o600)
    config.write_text(config.read_text(encoding="utf-8").replace("horizon: 7\n", "horizon: 8\n"), encoding="utf-8")
    assert "config.yaml (group config) was changed after freezing" in refused("compare", run, edited, code=4)


def test_what_the_policy_starts_from_and_is_paid_for_is_named_first(made):
    other = {"start_model": {"weights": "v", "tokenizer": "t", "chat_template": "c", "system_prompt": None}}
    b = made(content=other, reward=Reward(terms={"ends_turn": {"weight": 2.0}}), kl=Kl(coef=0.5))
    assert list(one(made(), b, "--allow-confounded")["treatments"]) == [
        "model.start",
        "reward.terms.ends_turn.weight",
        "kl.coef",
    ]


def test_the_primary_of_the_earlier_run_counts_and_the_difference_is_flagged(made):
    later = made(evaluation=Evaluation(samples_per_prompt=2, primary="refusal.unsafe"), started="2026-02-02T00:00:00")
    earlier = made(evaluation=Evaluation(samples_per_prompt=2, primary="refusal.safe"), started="2026-01-01T00:00:00")
    for pair in ((later, earlier), (earlier, later)):
        found = one(*pair)
        assert found["comparison"]["primary"] == "refusal.safe"
        assert set(found["confounders"]) == {"evaluation.primary"}


def test_prompts_that_leaked_are_flagged_loudly(made):
    leaked = [*rows("train", 8), {**rows("eval", 1, start=200)[0], "id": "leak"}]
    b = made(train_rows=leaked, kl=Kl(coef=0.1))
    a = made()
    found = one(a, b)
    assert found["leaks"] == {b.name: 1}
    assert set(found["treatments"]) == {"prompts.train"}
    leak = f"LEAK: 1 evaluation prompts overlap the training data of {b.name}"
    assert leak in re.sub(r"[\s│]+", " ", succeed("compare", a, b).out)


def test_an_unfinished_run_is_refused_as_not_whole(made):
    a, b = made(), made(kl=Kl(coef=0.5))
    state = json.loads((b / "run.json").read_text())
    (b / "run.json").write_text(json.dumps({**state, "status": "failed"}))
    assert "is not finished (failed)" in refused("compare", a, b, code=4)


def test_a_rerun_with_the_same_seed_checks_that_runs_repeat(made):
    a, b = made(draw=1), made(draw=1)
    found = one(a, b)
    assert all(change["difference"] in (0.0, 1.0, None) for change in found["comparison"]["changes"])
    assert found["seed_noise"] is None
    assert "this checks that a run can be reproduced" in succeed("compare", a, b).out
    assert not (a / "reports" / "seed_noise.json").exists()


def test_one_seed_per_arm_is_no_cause(made):
    out = re.sub(r"[\s│]+", " ", succeed("compare", made(), made(kl=Kl(coef=0.5), safe=0.1)).out)
    assert "this shows that the two checkpoints differ, not that the setting caused it" in out


def test_swapping_the_runs_turns_every_sign(made):
    a, b = made(draw=1), made(draw=2, kl=Kl(coef=0.5), safe=0.2)
    there, back = (one(*pair)["comparison"]["changes"] for pair in ((a, b), (b, a)))
    for forth, reverse in zip(there, back, strict=True):
        assert forth["verdict"] == reverse["verdict"]
        if forth["difference"] is not None:
            ratio = measure_named(forth["name"]).statistic == "geometric_mean"
            turned = 1 / forth["difference"] if ratio else -forth["difference"]
            assert reverse["difference"] == pytest.approx(turned, abs=1e-9)


# --- several seeds are one arm -------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_that_differ_in_the_seed_only_are_one_arm(made):
    a = seeds(made.output, (1, 2), spread=0.05, safe=0.7)
    b = seeds(made.output, (1, 2), spread=0.05, safe=0.2, kl=Kl(coef=0.5))
    mixed = [run for pair in zip(a, b, strict=True) for run in pair]
    found = one(*mixed)
    assert found["treatments"] == {"kl.coef": [0.1, 0.5]}
    arms = found["seed_comparison"]
    assert (arms["before"], arms["after"]) == ([run.name for run in a], [run.name for run in b])
    assert arms["seeds"] == [[1, 2], [1, 2]]
    assert arms["enough"] is False
    rate = next(spread for spread in arms["spreads"] if spread["name"] == "refusal.safe")
    change = next(change for change in found["comparison"]["changes"] if change["name"] == "refusal.safe")
    assert change["before"] == pytest.approx(np.mean(rate["before"]))
    assert change["difference"] == pytest.approx(rate["change"]["difference"])
    assert rate["paired"] is True
    assert rate["change"]["high_95"] < 0
    out = re.sub(r"[\s│]+", " ", succeed("compare", *mixed).out)
    assert "Over 2 pairs of one seed" in out
    assert "with fewer than 3 seeds per setting no effect of the setting is claimed" in out
    assert "made the difference." not in out
    assert "A, seeds 1, 2 B, seeds 1, 2 B − A over seeds p" in out


@pytest.mark.slow
def test_five_seeds_per_arm_may_name_a_cause(made):
    a = seeds(made.output, range(1, 6), spread=0.03, safe=0.8)
    b = seeds(made.output, range(1, 6), spread=0.03, safe=0.2, kl=Kl(coef=0.5))
    out = re.sub(r"[\s│]+", " ", succeed("compare", *a, *b).out)
    assert "More than seed noise: kl.coef made the difference." in out
    same = seeds(made.output, range(6, 11), spread=0.03, safe=0.8, kl=Kl(coef=0.7))
    out = re.sub(r"[\s│]+", " ", succeed("compare", *a, *same).out)
    assert "made the difference" not in out
    assert "Seed noise alone can explain this, which does not show that the settings are alike." in out
    assert re.search(r"Over 5 and 5 seeds: separation d′ .*, Welch p = ", out)


def test_the_same_seed_twice_is_no_second_seed(made):
    a, again, b = made(draw=1), made(draw=2), made(kl=Kl(coef=0.5))
    assert "have the same setting and the same seed" in refused("compare", a, again, b)


# --- seed noise ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_seed_noise_is_kept_and_used_later(made):
    a = seeds(made.output, (1, 2, 3), spread=0.1, safe=0.5)
    b = made(kl=Kl(coef=0.5), safe=0.2)
    assert one(a[0], b)["seed_noise"] is None
    first, second = succeed("compare", *a, "--json").json
    assert first["treatments"] == second["treatments"] == {}
    apart = [abs(primary(outcome)["difference"]) for outcome in (first, second)]
    third = one(a[1], a[2])
    typical = math.sqrt(np.mean(np.square([*apart, primary(third)["difference"]])))
    for run in a:
        floor = one(run, b)["seed_noise"]
        assert floor["seeds"] == [1, 2, 3]
        assert math.sqrt(2) * floor["deviation"]["refusal.separation"] == pytest.approx(typical)
    out = re.sub(r"[\s│]+", " ", succeed("compare", b, a[1]).out)
    assert f"3 runs of one setting that differ in the seed only typically differ by {typical:.2f}" in out


def test_seed_noise_by_other_rules_is_forgotten_and_a_damaged_file_named(made):
    a, b = seeds(made.output, (1, 2)), made(kl=Kl(coef=0.5))
    succeed("compare", *a)
    path = a[0] / "reports" / "seed_noise.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "rules": "older"}))
    assert one(a[0], b)["seed_noise"] is None
    path.write_text(json.dumps({**kept, "deviation": [1]}))
    assert "seed_noise.json is damaged" in refused("compare", a[0], b, code=4)


# --- conditions for CI ---------------------------------------------------------------------------------


@pytest.fixture
def pair(made):
    return made(draw=1, safe=0.6), made(draw=2, safe=0.2, kl=Kl(coef=0.5))


def test_a_condition_that_is_met_ends_with_100_and_says_which(pair):
    screen = ppo("compare", *pair, "--fail-if", "refusal.safe > 0.1", "--fail-if", "refusal.unsafe < 0.2")
    assert screen.code == FailConditionError.exit_code == 100
    assert re.search(r"error: --fail-if: refusal\.safe > 0\.1 is met: \d+\.\d % \[\d+\.\d, \d+\.\d\]\.", screen.err)
    assert "refusal.unsafe < 0.2 is not met: " in screen.out
    assert "refusal.unsafe" not in screen.err


def test_a_condition_that_is_not_met_lets_the_comparison_pass(pair):
    assert "--fail-if refusal.safe > 0.5 is not met" in succeed("compare", *pair, "--fail-if", "refusal.safe > 0.5").out


def test_a_change_is_that_of_the_last_run_against_the_first(pair):
    assert ppo("compare", *pair, "--fail-if", "change(refusal.safe) < -20%").code == 100
    assert ppo("compare", *pair[::-1], "--fail-if", "change(refusal.safe) < -20%").code == 0


def test_conditions_as_json_are_one_document(pair):
    screen = ppo("compare", *pair, "--fail-if", "refusal.safe > 10%", "--json")
    assert screen.code == 100
    (found,) = screen.json[0]["fail_if"]
    assert found["failed"] is True
    assert found["low_95"] < found["value"] < found["high_95"]
    assert (
        found["value"]
        == next(c for c in screen.json[0]["comparison"]["changes"] if c["name"] == "refusal.safe")["after"]
    )


def test_a_wrong_name_in_a_condition_is_refused_before_any_work(pair):
    assert "Did you mean refusal.safe?" in refused("compare", *pair, "--fail-if", "refusal.sfe > 0.2")
    assert "there is no data for clarification.selectivity" in refused(
        "compare", *pair, "--fail-if", "clarification.selectivity > 0.2"
    )


def test_a_condition_looks_at_the_mean_of_the_last_arm(made):
    a = seeds(made.output, (1, 2), safe=0.6)
    b = seeds(made.output, (1, 2), spread=0.2, safe=0.3, kl=Kl(coef=0.5))
    (outcome,) = ppo("compare", *a, *b, "--fail-if", "refusal.safe > 0.99", "--json").json
    rate = next(spread for spread in outcome["seed_comparison"]["spreads"] if spread["name"] == "refusal.safe")
    assert outcome["fail_if"][0]["value"] == pytest.approx(np.mean(rate["after"]))


# --- start-up ------------------------------------------------------------------------------------------


@pytest.mark.process
def test_a_comparison_imports_no_torch(pair):
    script = "import sys; from ppo_cli.evaluation.compare import compare; compare(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, pair)],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"torch", "transformers", "matplotlib"} & set(done.stdout.split())
