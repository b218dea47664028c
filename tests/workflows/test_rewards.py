"""Whole runs with rewards that are not shipped: code, models, a service that fails in the middle."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.engine.test_reward_model import rows as pairs
from tests.rewards.http_server import serving
from tests.rewards.test_classifier import save  # noqa: F401 - a fixture
from tests.terminal import only_run, outcome, records, refused, start, succeed
from tests.tiny_models import write_rows

FUNCTION = """
from pathlib import Path

Path(__file__).with_name("ran").touch()


def score(answers, factor: float = 1.0):
    return [factor * len(answer) / 8 for answer in answers]
"""


def with_terms(config, **terms):
    """The tiny config with other terms."""
    tree = yaml.safe_load(config.read_text())
    tree["reward"]["terms"] = terms
    config.write_text(yaml.safe_dump(tree))
    return config


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lock_of(run):
    return yaml.safe_load((run / "freeze.lock").read_text())["groups"]


@pytest.fixture
def function(tiny_config):
    file = tiny_config.parent / "mine.py"
    file.write_text(FUNCTION)
    with_terms(
        tiny_config, mine={"type": "python", "function": "mine.py:score", "factor": 2}, ends_turn={"weight": 0.5}
    )
    return file


def test_a_function_is_frozen_with_the_run_and_run_only_by_training(tiny_config, function):
    succeed("train", tiny_config, "ppo.updates=2")
    run, ran = only_run(), function.with_name("ran")
    ran.unlink()
    assert (run / "inputs" / "reward-mine" / "mine.py").read_text() == FUNCTION
    groups = lock_of(run)
    assert groups["reward"]["values"]["reward.terms.mine.function"] == "mine.py:score"
    assert groups["reward"]["values"]["reward.terms.mine.factor"] == 2
    assert set(groups["reward_content"]["values"]) == {"reward.terms.mine.function"}
    (row, _) = lines(run / "metrics.jsonl")
    episodes = [row for row in lines(run / "rollouts.jsonl") if row["update"] == 1]
    assert [episode["terms"]["mine"] for episode in episodes] == [len(each["answer"]) / 4 for each in episodes]
    gains = [each["terms"]["mine"] - each["baseline_terms"]["mine"] for each in episodes]
    assert row["term_statistics"]["mine"]["over_baseline"] == pytest.approx(sum(gains) / len(gains))
    assert row["reward"] == pytest.approx(
        row["term_statistics"]["mine"]["over_baseline"] + 0.5 * row["term_statistics"]["ends_turn"]["over_baseline"]
    )

    step = run / "checkpoints" / "step-000002"
    extra = write_rows(run.parent / "extra.jsonl", [{"id": "x", "prompt": "apple?"}, {"id": "y", "prompt": "brick?"}])
    message = succeed("eval", "--checkpoint", step, "--prompts", extra).out
    assert re.search(r"reward\.terms\.mine is opaque", " ".join(message.split()))
    succeed("show", run)
    succeed("runs")
    assert not ran.exists()
    assert not list(run.rglob("ran"))


def test_a_changed_function_is_another_experiment(tiny_config, function, tmp_path):
    succeed("train", tiny_config, "ppo.updates=2", "--runs-dir", tmp_path / "a")
    function.write_text(FUNCTION.replace("/ 8", "/ 4"))
    succeed("train", tiny_config, "ppo.updates=2", "--runs-dir", tmp_path / "b")
    one, other = only_run(tmp_path / "a"), only_run(tmp_path / "b")
    assert one.name != other.name
    assert lock_of(one)["reward"] == lock_of(other)["reward"]
    found = succeed("compare", one, other, "--json").json
    assert "reward.terms.mine.function" in json.dumps(found)


def test_a_run_whose_function_was_edited_inside_it_is_not_resumed(tiny_config, function):
    succeed("train", tiny_config, "ppo.updates=2")
    run = only_run()
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "status": "interrupted"}))
    (run / "inputs" / "reward-mine" / "mine.py").write_text(FUNCTION + "# more\n")
    sentence = refused("train", "--resume", run, code=4)
    assert "inputs/reward-mine/mine.py (group reward_content) was changed after freezing" in sentence


FAULTS = {
    "too few": ("scores[:-1]", r"mine returned \d+ scores for \d+ answers"),
    "not a number": ("[float('nan')] * len(answers)", r"is nan \(term mine\)"),
    "text": ("[str(score) for score in scores]", r"not a number \(term mine\)"),
    "raises": ("scores / 0", r"mine failed: TypeError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_function_that_breaks_its_contract_is_found_before_a_run_is_begun(tiny_config, function, fault):
    returned, message = FAULTS[fault]
    function.write_text(
        f"def score(answers):\n    scores = [len(answer) / 8 for answer in answers]\n    return {returned}\n"
    )
    term = {"type": "python", "function": "mine.py:score"}
    assert re.search(message, refused("train", with_terms(tiny_config, mine=term), code=5))
    assert not list((tiny_config.parent / "runs").glob("*"))


def test_a_fault_in_a_later_update_keeps_the_run_and_its_checkpoint(tiny_config, function):
    function.write_text(
        "from pathlib import Path\n\ndef score(answers):\n"
        "    broken = Path('break').exists()\n"
        "    done = [path for path in Path('runs').glob('*/checkpoints/step-000002')]\n"
        "    return [float('nan') if done and broken else len(answer) / 8 for answer in answers]\n"
    )
    with_terms(tiny_config, mine={"type": "python", "function": "mine.py:score"})
    Path("break").touch()
    sentence = refused("train", tiny_config, code=5)
    assert "is nan (term mine)" in sentence
    run = only_run()
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert (run / "checkpoints" / "step-000002").is_dir()
    assert {row["update"] for row in lines(run / "failed_updates.jsonl")} == {3}


def test_a_service_that_fails_in_the_middle_pauses_the_run_which_goes_on_with_equal_numbers(tiny_config, tmp_path):
    with serving() as service:
        term = {"type": "http", "url": service.url, "timeout": 5, "retries": 0, "batch_size": 4, "normalise": True}
        with_terms(tiny_config, judge=term, ends_turn={"weight": 0.5})
        succeed("train", tiny_config, "--runs-dir", tmp_path / "whole")
        asked = len(service.requests)
        service.plan = ["fine"] * (asked - 2) + [503]
        sentence = refused("train", tiny_config, "--runs-dir", tmp_path / "paused", code=5)
        run = only_run(tmp_path / "paused")
        assert "reward.terms.judge: http://127.0.0.1" in sentence
        assert "does not score: status 503" in sentence
        assert f"then continue with: ppo train --resume {run}".lower() in sentence.lower()
        state = json.loads((run / "run.json").read_text())
        assert (state["status"], state["exit_code"]) == ("interrupted", 5)
        last = max(int(path.name[-6:]) for path in (run / "checkpoints").glob("step-*"))
        assert last == state["updates_done"] > 0
        assert not (run / "failed_updates.jsonl").exists()

        service.plan = ["fine"]
        before = len(service.asked)
        succeed("train", "--resume", run)
        assert records(run) == records(only_run(tmp_path / "whole"))
        assert len(service.asked) - before <= 8
        kept = [row["key"] for row in lines(run / "reward_cache.0.jsonl")]
        assert len(kept) == len(set(kept))


def test_a_service_that_is_down_at_the_start_leaves_nothing(tiny_config):
    with serving() as gone:
        url = gone.url
    with_terms(tiny_config, judge={"type": "http", "url": url, "retries": 0})
    sentence = refused("train", tiny_config, code=5)
    assert "connection refused" in sentence
    assert not list((tiny_config.parent / "runs").glob("*"))


def test_a_normalised_term_keeps_the_scale_of_the_first_update(tiny_config, tmp_path):
    band = {"type": "length_band", "min": 1, "max": 2, "margin": 3, "normalise": True}
    with_terms(tiny_config, brief=band, ends_turn={"weight": 0.5})
    succeed("train", tiny_config, "--runs-dir", tmp_path / "whole")
    whole = only_run(tmp_path / "whole")
    rows = lines(whole / "metrics.jsonl")
    scale = rows[0]["term_statistics"]["brief"]["scale"]
    assert scale == pytest.approx(rows[0]["term_statistics"]["brief"]["over_baseline_std"])
    assert {row["term_statistics"]["brief"]["scale"] for row in rows} == {scale}
    assert "scale" not in rows[0]["term_statistics"]["ends_turn"]
    for row in rows:
        paid = (
            row["term_statistics"]["brief"]["over_baseline"] / scale
            + 0.5 * row["term_statistics"]["ends_turn"]["over_baseline"]
        )
        assert row["reward"] == pytest.approx(paid)


def test_a_classifier_and_a_preference_model_pay(tiny_config, tmp_path, save):  # noqa: F811 - the fixture
    folder, _, _ = save(("bad", "good"))
    write_rows(tiny_config.parent / "pairs.jsonl", pairs())
    with_terms(
        tiny_config,
        nice={"type": "classifier", "model": str(folder), "label": "good", "max_tokens": 64},
        taste={"type": "preference", "pairs": "pairs.jsonl", "epochs": 1, "lora_r": 2, "max_tokens": 64},
    )
    message = succeed("train", tiny_config, "ppo.updates=2")
    assert "reward.terms.taste: prefers the chosen answer in" in message.out + message.err
    run = only_run()
    content = lock_of(run)["reward_content"]["values"]
    assert set(content) == {"reward.terms.nice.model", "reward.terms.taste.pairs"}
    assert (run / "inputs" / "reward-taste" / "pairs.jsonl").is_file()
    assert {"nice", "taste"} == set(lines(run / "rollouts.jsonl")[0]["terms"])


@pytest.mark.long
@pytest.mark.process
def test_two_processes_score_and_scale_as_one_and_pause_together(tiny_config, tmp_path):
    with serving() as service:
        term = {"type": "http", "url": service.url, "timeout": 5, "retries": 0, "normalise": True}
        with_terms(tiny_config, judge=term, ends_turn={"weight": 0.5})
        few = ("ppo.updates=2", "evaluation.samples_per_prompt=1", "evaluation.every=0")
        succeed("train", tiny_config, *few, "--runs-dir", tmp_path / "one")
        service.plan = ["fine"] * (len(service.requests) + 1) + [503]  # the second process, in the second update
        words = ("train", tiny_config, *few, "--processes", 2, "--runs-dir", tmp_path / "two")
        screen = outcome(start(*words, cwd=tmp_path), timeout=240)
    assert screen.code == 5, screen
    assert screen.err.count("does not score: status 503") == 1
    run = only_run(tmp_path / "two")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "checkpoints" / "step-000001").is_dir()
    assert {path.name for path in run.glob("reward_cache.*")} == {"reward_cache.0.jsonl", "reward_cache.1.jsonl"}
    (one, _), (two,) = (lines(each / "metrics.jsonl") for each in (only_run(tmp_path / "one"), run))
    assert two["reward"] == pytest.approx(one["reward"], abs=2e-4)
    assert two["term_statistics"]["judge"]["scale"] == pytest.approx(one["term_statistics"]["judge"]["scale"], abs=2e-4)
