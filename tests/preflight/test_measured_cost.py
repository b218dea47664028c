"""What a run will take, measured on a tiny real model."""

import pytest

from ppo_cli.engine.policy import Policy
from ppo_cli.experiment.load import load_experiment
from ppo_cli.preflight.measured_cost import measured_cost
from ppo_cli.preflight.start_samples import SampleSettings, sample_start_model
from ppo_cli.records.events import ignore_events
from ppo_cli.setup.resolve import read_inputs, resolve_experiment
from ppo_cli.setup.start_model import load_start_model


@pytest.mark.parametrize("other", ["reference", "none"])
def test_every_kind_of_work_is_timed_and_no_file_is_left(tiny_config, tmp_path, monkeypatch, other):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    overrides = [f"reward.baseline={other}"]
    resolved = resolve_experiment(read_inputs(load_experiment(tiny_config, overrides).experiment), ignore_events)
    start = load_start_model(resolved, ignore_events)
    policy = Policy(start.model, resolved.experiment.model.train, seed=1)
    settings = SampleSettings(per_prompt=2, max_new_tokens=8, temperature=1.0, seed=1)
    prompts = resolved.train.only({prompt.id for prompt in resolved.inputs.train[:6]})
    samples = sample_start_model(policy.merged_model, resolved.tokenizer, prompts, settings, ignore_events)
    assert (len(samples.sequences), samples.answer_count) == (6, 12)
    cost = measured_cost(resolved, start, policy, samples, ignore_events)
    assert cost.episodes == 4 * 8
    assert cost.seconds == sum(cost.parts.values())
    assert (cost.parts["baseline answers"] > 0) == (other == "reference")
    for part in ("setup", "updates", "evaluations", "checkpoints"):
        assert cost.parts[part] > 0
    assert 0.05 < cost.memory_gb < 20
    assert 0 < cost.disk_gb < 0.1
    assert not list((tmp_path / "temporary").iterdir())
