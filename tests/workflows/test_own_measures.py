"""Measures of a config, from training to a comparison: a function, a form, a judge, a reward model."""

import json
import shutil

import pytest
import yaml

from tests.rewards.http_server import serving
from tests.rewards.test_classifier import save  # noqa: F401 - a fixture
from tests.terminal import only_run, ppo, refused, succeed
from tests.workflows.test_rewards import lines, lock_of
from tests.workflows.test_start_models import as_another_user

FUNCTION = """
from pathlib import Path

Path(__file__).with_name("ran").touch()


def share_of_e(answers):
    return [answer.count("e") / max(1, len(answer)) for answer in answers]
"""
SHARE = {"type": "python", "function": "mine.py:share_of_e", "better": "higher", "unit": "%", "title": "letters e"}


@pytest.fixture
def measured(tiny_config):
    """Gives the tiny config these measures, and the first of them as the primary one."""

    def measured(**measures):
        (tiny_config.parent / "mine.py").write_text(FUNCTION)
        tree = yaml.safe_load(tiny_config.read_text())
        tree["evaluation"] |= {"measures": measures, "primary": f"own.{next(iter(measures))}", "smallest_effect": 5}
        tiny_config.write_text(yaml.safe_dump(tree))
        return tiny_config

    return measured


def test_a_function_is_measured_frozen_compared_and_not_run_by_commands_that_read(measured, tmp_path):
    config = measured(share=SHARE, brief={"type": "length_band", "max": 3})
    succeed("train", config, "ppo.updates=2", "--runs-dir", "a")
    succeed("train", config, "ppo.updates=2", "kl.coef=0.3", "--runs-dir", "b")
    run, other = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert (run / "inputs" / "measure-share" / "mine.py").read_text() == FUNCTION
    groups = lock_of(run)
    assert groups["measures"]["values"]["evaluation.measures.share.function"] == "mine.py:share_of_e"
    assert set(groups["measure_content"]["values"]) == {"evaluation.measures.share.function"}
    assert groups["measures"]["role"] == groups["measure_content"]["role"] == "frozen"

    folder = run / "eval" / "step-000002"
    samples, (scores,) = lines(folder / "samples.jsonl"), folder.glob("scores.*.jsonl")
    expected = [row["answer"].count("e") / max(1, len(row["answer"])) for row in samples]
    assert [row["own"]["share"] for row in samples] == [row["own.share"] for row in lines(scores)] == expected
    by_prompt = {}
    for row, value in zip(samples, expected, strict=True):
        by_prompt.setdefault(row["prompt_id"], []).append(value)
    means = [sum(values) / len(values) for values in by_prompt.values()]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["measures"]["own.share"]["value"] == pytest.approx(sum(means) / len(means))

    for path in (config.parent, run, other):
        for ran in path.rglob("ran"):
            ran.unlink()
    assert "letters e" in succeed("show", run).out
    assert "own.share" in succeed("runs", "--runs-dir", "a", "--sort", "own.share").out
    (result,) = succeed("compare", run, other, "--json", "--fail-if", "own.share > 100%").json
    assert result["comparison"]["primary"] == "own.share"
    assert {"own.share", "own.brief"} <= {change["name"] for change in result["comparison"]["changes"]}
    refused("compare", run, other, "--fail-if", "own.share > 0%", code=100)
    succeed("report", run, "--html", tmp_path / "page.html")
    assert "letters e" in (tmp_path / "page.html").read_text(encoding="utf-8")
    succeed("eval", "--checkpoint", run / "checkpoints" / "step-000002", "--rescore")
    assert [row["own"]["share"] for row in lines(folder / "samples.jsonl")] == expected
    assert not [ran for path in (config.parent, run, other) for ran in path.rglob("ran")]


def test_runs_with_different_code_for_one_measure_are_not_judged_by_it(measured, tmp_path):
    config = measured(share=SHARE)
    succeed("train", config, "ppo.updates=1", "ppo.warmup_updates=0", "--runs-dir", "a")
    (config.parent / "mine.py").write_text(FUNCTION.replace('"e"', '"a"'))
    succeed("train", config, "ppo.updates=1", "ppo.warmup_updates=0", "kl.coef=0.3", "--runs-dir", "b")
    sentence = refused("compare", only_run(tmp_path / "a"), only_run(tmp_path / "b"), code=3)
    assert "do not have the same own.share" in sentence


def test_a_judge_a_classifier_and_a_service_measure_and_are_marked_where_they_reward(measured, save, tmp_path):  # noqa: F811
    folder, _, _ = save(("bad", "good"))
    nice = {"type": "classifier", "model": str(folder), "label": "good", "max_tokens": 64}
    with serving() as service:
        given = {"model": "judge", "endpoint": service.url, "rubric": "Is it kind?", "choices": ["no", "yes"]}
        config = measured(nice={**nice, "better": "higher"}, kind={"type": "judge", "retries": 0, **given})
        tree = yaml.safe_load(config.read_text())
        tree["reward"]["terms"] = {"nice": nice, "ends_turn": {}}
        config.write_text(yaml.safe_dump(tree))
        service.plan = [("reply", "A"), ("reply", "garbage")]
        assert "the reply is not one of A, B" in refused(
            "train", config, "ppo.updates=1", "ppo.warmup_updates=0", code=5
        )
        run = only_run()
        assert not (run / "eval" / "step-000000" / "summary.json").exists()
        service.plan = [("reply", "A")]  # of whatever order: the orders differ for every answer
        succeed("train", "--resume", run)
    assert set(lock_of(run)["measure_content"]["values"]) == {"evaluation.measures.nice.model"}
    (row, *_) = lines(run / "eval" / "step-000001" / "samples.jsonl")
    assert set(row["own"]) == {"nice", "kind", "kind.orders_differ", "kind.choice"}
    assert (row["own"]["kind"], row["own"]["kind.orders_differ"]) == (0.5, 1.0)
    assert not (run / "eval" / "step-000001" / "measure_cache.jsonl").exists()
    listed = {row["name"]: row for row in succeed("measures", config, "--json").json["measures"]}
    assert listed["own.nice"]["rewarded"]
    assert listed["own.nice"]["primary"]
    assert not listed["own.kind"]["rewarded"]
    assert "★ own.nice †" in succeed("measures", config).out


def test_a_received_run_brings_its_measures_and_they_are_not_run_unasked(measured, monkeypatch, tmp_path):
    succeed("train", measured(share=SHARE), "ppo.updates=1", "ppo.warmup_updates=0")
    run = only_run()
    shutil.rmtree(run / "eval" / "step-000001")
    ran = run / "inputs" / "measure-share" / "ran"
    ran.unlink(missing_ok=True)
    as_another_user(monkeypatch, tmp_path)
    words = "eval", "--checkpoint", run / "checkpoints" / "step-000001"
    sentence = refused(*words)
    assert "its measure 'share' (Python" in sentence
    assert not ran.exists()
    succeed(*words, "--trust-code")
    assert ran.exists()
    (run / "inputs" / "measure-share" / "mine.py").write_text(FUNCTION + "# more\n")
    assert "(group measure_content) was changed after freezing" in refused(*words, "--trust-code", code=4)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("evaluation.primary=own.polite", "evaluation.measures has no own.polite"),
        ("evaluation.measures.share.weight=2.0", "weight: has no effect on a measure"),
        ("evaluation.measures.share.factr=2.0", "share.factr: the function has no such parameter"),
        ("evaluation.measures.x={type: matches_expct}", "no type of reward is called 'matches_expct'; did you mean"),
    ],
)
def test_what_is_wrong_with_a_measure_is_found_before_a_run_is_begun(measured, override, message):
    config = measured(share=SHARE)
    assert message in refused("train", config, override)
    assert message in refused("train", config, override, "--dry-run")
    assert not list((config.parent / "runs").glob("*"))


def test_the_checks_before_training_use_a_primary_measure_of_the_config(measured):
    config = measured(share=SHARE)
    screen = ppo("sft-check", config, "--json")
    assert screen.code in (0, 5), screen
    (check,) = [check for check in screen.json["checks"] if check["name"] == "enough prompts for the effect"]
    assert "points of own.share" in check["value"]
    succeed("rehearse", config)
