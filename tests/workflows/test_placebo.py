"""`ppo train --placebo`: in the lock, the name, the metrics, every screen, and as the control arm of `ppo compare`."""

import json
from pathlib import Path

from ppo_cli.store.runs import Run
from tests.terminal import only_run, records, refused, succeed


def test_a_placebo_says_what_it_is_and_is_compared_as_the_control(tiny_config, tmp_path):
    screen = succeed("train", tiny_config, "--placebo", "ppo.updates=2", "--runs-dir", "control")
    placebo = only_run("control")
    assert "Placebo: rewards are permuted" in screen.out
    assert placebo.name.endswith("-placebo")
    assert Run(placebo).lock().groups["reward"].values["reward.placebo"] is True
    rows = [json.loads(line) for line in (placebo / "metrics.jsonl").read_text().splitlines()]
    assert [row["placebo"] for row in rows] == [True, True]
    episodes = [json.loads(line) for line in (placebo / "rollouts.jsonl").read_text().splitlines()]
    for episode in episodes:
        gains = {name: value - episode["baseline_terms"][name] for name, value in episode["terms"].items()}
        assert abs(episode["reward"] - (gains["ends_turn"] + 0.5 * gains["matches_expect"])) < 1e-9
    page = Path(succeed("report", placebo, "--json").json["path"]).read_text(encoding="utf-8")
    assert "Placebo: rewards are permuted" in page

    succeed("train", tiny_config, "ppo.updates=2")
    treated = only_run()
    assert "placebo" not in treated.name
    assert (treated / "rollouts.jsonl").read_text().splitlines()[:8] == (
        (placebo / "rollouts.jsonl").read_text().splitlines()[:8]
    )
    assert records(treated) != records(placebo)
    screen = succeed("compare", treated, placebo).out
    assert f"{placebo.name} → {treated.name}" in " ".join(screen.split())
    assert "Treatment minus placebo" in screen
    assert "A is the placebo of B" in screen


def test_a_resumed_run_stays_what_it_is(tiny_config):
    succeed("train", tiny_config, "--placebo", "ppo.updates=2")
    run = only_run()
    before = records(run)
    Run(run).update_state(status="interrupted")
    assert "Leave --placebo out" in refused("train", "--resume", run, "--placebo")
    succeed("train", "--resume", run)
    assert records(run) == before
