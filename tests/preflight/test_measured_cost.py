"""What a run will take, measured on a tiny real model."""

import pytest

from ppo_cli.engine.policy import Policy
from ppo_cli.experiment.load import load_experiment
from ppo_cli.preflight.measured_cost import measured_cost
from ppo_cli.preflight.start_samples import sample_start_model
from ppo_cli.records.events import ignore_events
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.setup.start_model import load_start_model


@pytest.mark.parametrize("other", ["reference", "none"])
def test_every_kind_of_work_is_timed_and_nothing_is_left_behind(tiny_config, tmp_path, monkeypatch, other):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    overrides = [f"reward.baseline={other}"]
    resolved = resolve_experiment(read_inputs(load_experiment(tiny_config, overrides).experiment), ignore_events)
    start = load_start_model(resolved, ignore_events)
    policy = Policy(start.model, resolved.experiment.model.train, seed=1)
    tried = sample_start_model(
        policy.merged_model,
        resolved.tokenizer,
        resolved.inputs.train[:6],
        samples=2,
        limit=8,
        temperature=1.0,
        seed=1,
        on_event=ignore_events,
    )
    assert (len(tried.sequences), tried.answers) == (6, 12)
    cost = measured_cost(resolved, start, policy, tried, ignore_events)
    assert cost.episodes == 4 * 8
    assert cost.seconds == sum(cost.parts.values())
    assert (cost.parts["the reference's answers"] > 0) == (other == "reference")
    for part in ("setting up", "updates", "evaluations", "checkpoints"):
        assert cost.parts[part] > 0
    assert 0.05 < cost.memory_gb < 20
    assert 0 < cost.disk_gb < 0.1
    assert not list((tmp_path / "temporary").iterdir())
