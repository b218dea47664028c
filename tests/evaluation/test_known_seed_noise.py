"""What a single run says of chance: from runs that were compared here, or from the recipe that it runs."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.recipe_page import write_seed_noise as write_page_seed_noise
from ppo_cli.behaviours.label_answers import RULES_VERSION, label_sample
from ppo_cli.behaviours.measures import measure_named
from ppo_cli.errors import IntegrityError
from ppo_cli.evaluation import known_seed_noise as module
from ppo_cli.evaluation.compared_runs import compared_run
from ppo_cli.evaluation.known_seed_noise import known_seed_noise, measured_seed_noise
from ppo_cli.evaluation.run_records import RunRecords
from ppo_cli.experiment.schema import Kl
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.stats.comparability import setting_digest
from ppo_cli.stats.seed_variance import value_of
from ppo_cli.store.evaluations import write_evaluation
from ppo_cli.store.layout import RunLayout
from ppo_cli.store.runs import Run
from ppo_cli.store.seed_noise import read_recipe_seed_noise, write_recipe_seed_noise, write_seed_noise
from tests.made_runs import answers, evaluated_at, make_run, seeds
from tests.terminal import succeed


@pytest.fixture
def output(tmp_path):
    """The folder of the runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """The folder of the shipped recipes."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    monkeypatch.setattr(module, "templates_folder", lambda: folder)
    return folder / "seed_noise.json"


def ship(file, runs, name="refusal"):
    arm = [compared_run(run, run.parent) for run in runs]
    noise = measured_seed_noise(arm, name)
    write_recipe_seed_noise(file, setting_digest(arm[0].lock), noise, "rules")
    return noise, arm


def of(folder):
    run = Run(folder)
    return known_seed_noise(run, run.lock())


def test_a_recipe_ships_the_standard_deviation_of_its_seeds_with_its_date(output, recipes):
    runs = seeds(output, range(1, 6), spread=0.1, prompts=20, started="2026-11-27T06:00:00+00:00")
    noise, arm = ship(recipes, runs)
    values = [value_of(measure_named("refusal.separation"), run.evaluated.matrix) for run in arm]
    assert noise.deviation["refusal.separation"] == pytest.approx(np.std(values, ddof=1))
    assert (noise.seeds, noise.recipe, noise.runs) == ((1, 2, 3, 4, 5), "refusal", ())
    assert noise.measured == max(run.records.state.ended for run in arm)[:10]
    for run in runs:
        assert of(run) == noise


def test_the_benchmark_writes_it_for_five_seeds_of_one_setting_and_no_fewer(output, recipes, capsys):
    runs = seeds(output, range(1, 6), spread=0.1, prompts=20)
    write_page_seed_noise(runs, recipes)
    deviation = json.loads(recipes.read_text())["recipes"]["made"]["deviation"]["refusal.separation"]
    assert f"Chance alone moves separation d′ by ±{deviation:.2f} between seeds" in capsys.readouterr().out
    assert of(runs[0]).recipe == "made"
    other = make_run(output, prompts=20, seed=5, kl=Kl(coef=0.2))
    for too_few in (runs[:4], [*runs[:4], other], [*runs[:4], runs[0]]):
        with pytest.raises(SystemExit, match="takes 5 runs or more that differ in their seed only"):
            write_page_seed_noise(too_few, recipes)


def test_it_is_shown_for_the_recipe_alone_whatever_the_seed_and_the_keys_that_change_no_number(output, recipes):
    noise, _ = ship(recipes, seeds(output, range(1, 6), spread=0.1, prompts=20))
    same = {"prompts": 20, "seed": 9}
    assert of(make_run(output, **same, goal="Other words.", name="mine", tracking=[])) == noise
    assert of(make_run(output, **same, kl=Kl(coef=0.2))) is None
    assert of(make_run(output, seed=9, prompts=21)) is None
    recipes.unlink()
    assert of(make_run(output, **same)) is None


def test_recipes_stand_side_by_side_and_one_is_replaced_by_a_newer_measurement(output, recipes):
    runs = seeds(output, range(1, 6), spread=0.1, prompts=20)
    first, arm = ship(recipes, runs, "refusal")
    digest = setting_digest(arm[0].lock)
    write_recipe_seed_noise(recipes, "f" * 64, replace(first, recipe="clarify", measured="2020-01-01"), "rules")
    again = replace(first, measured="2030-01-01")
    write_recipe_seed_noise(recipes, digest, again, "rules")
    assert list(json.loads(recipes.read_text())["recipes"]) == ["clarify", "refusal"]
    assert read_recipe_seed_noise(recipes, digest) == again
    assert read_recipe_seed_noise(recipes, "f" * 64).measured == "2020-01-01"
    assert read_recipe_seed_noise(recipes, "0" * 64) is None


def test_of_two_measurements_that_of_more_seeds_is_shown(output, recipes):
    runs = seeds(output, range(1, 6), spread=0.1, prompts=20)
    shipped, arm = ship(recipes, runs)
    here = measured_seed_noise(arm[:3])
    write_seed_noise(here, [Run(runs[0])], RULES_VERSION)
    assert of(runs[0]) == shipped
    write_recipe_seed_noise(recipes, setting_digest(arm[0].lock), replace(shipped, seeds=(1, 2)), "rules")
    assert of(runs[0]) == here


def test_a_damaged_file_of_the_recipes_is_named(output, recipes):
    recipes.write_text('{"recipes": {"refusal": {"seeds": 1}}}')
    run = make_run(output, prompts=20)
    with pytest.raises(IntegrityError, match="is damaged"):
        of(run)


def test_eval_report_and_compare_say_it_of_a_single_run(output, recipes):
    runs = seeds(output, range(1, 6), spread=0.1, prompts=20)
    noise, _ = ship(recipes, runs)
    evaluate_step_0(runs[0])
    deviation = noise.deviation["refusal.separation"]
    said = f"Chance alone moves separation d′ by ±{deviation:.2f} between seeds"
    page = output / "page.html"
    for words in (["eval", "--checkpoint", runs[0] / "checkpoints" / "step-000004", "--rescore"], ["report", runs[0]]):
        assert said in flat(succeed(*words))
    succeed("report", runs[0], "--html", page)
    assert said in page.read_text(encoding="utf-8")
    other = make_run(output, prompts=20, kl=Kl(coef=0.7))
    typical = f"5 runs of one setting that differ in the seed only typically differ by {math.sqrt(2) * deviation:.2f}"
    assert typical in flat(succeed("compare", runs[0], other))


def test_compare_leads_with_the_change_from_step_0_over_seeds(output, recipes):
    runs = seeds(output, range(1, 4), spread=0.05, prompts=20, unsafe=0.7, safe=0.2)
    assert "Step 0 → last step" not in flat(succeed("compare", *runs))
    evaluate_step_0(runs[0])
    separation = measure_named("refusal.separation")
    start = value_of(separation, RunRecords(Run(runs[0])).evaluation(0).matrix)
    ends = [value_of(separation, compared_run(run, output).evaluated.matrix) for run in runs]
    mean = np.mean(ends)
    low, high = stats.t.interval(0.95, 2, mean - start, stats.sem(ends))
    first, second = succeed("compare", *runs, "--json").json
    (arm,) = first["from_start"]
    assert (arm["name"], arm["seeds"], second["from_start"]) == ("", [1, 2, 3], [])
    assert (arm["pooled"]["before"], arm["pooled"]["after"]) == (pytest.approx(start), pytest.approx(mean))
    change = arm["pooled"]["change"]
    assert (change["low_95"], change["high_95"]) == (pytest.approx(low), pytest.approx(high))
    shown = flat(succeed("compare", *runs))
    assert f"Step 0 → last step over 3 seeds: separation d′ {start:.2f} → {mean:.2f}, " in shown
    assert shown.index("Step 0 → last step") < shown.index("Only the seed differs")
    others = seeds(output, range(1, 4), spread=0.05, prompts=20, kl=Kl(coef=0.7))
    (outcome,) = succeed("compare", *runs, *others, "--json").json
    assert [arm["name"] for arm in outcome["from_start"]] == ["A"]  # step 0 of B was not evaluated


def evaluate_step_0(root):
    layout = RunLayout(root)
    asked = read_prompts(layout.prompt_file("prompts.eval"))
    samples = answers(asked, 0.9, 0.9, 7, 2)
    about = {"partial": False, "of": evaluated_at(Run(root), 0)}
    write_evaluation(layout.evaluation(0), samples, label_sample(asked, samples), (), RULES_VERSION, about)


def flat(screen):
    return re.sub(r"[\s│]+", " ", screen.out)
