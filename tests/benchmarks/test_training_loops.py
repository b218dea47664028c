"""The loops that bench.py compares run as the program is now, on one device."""

from pathlib import Path

import pytest

from tests.engine.trl_stock_trainer import forget_accelerators

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("loop", ["a", "b", "c"])
def test_each_loop_trains_on_the_same_prompts(loop, tiny_config, tiny_model, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from benchmarks import bench, training_loops

    monkeypatch.setattr(training_loops, "CONFIG", tiny_config)
    resolved = training_loops.set_up(1, [f"model.start={tiny_model}"])
    seconds, tokens, phases = training_loops.LOOPS[loop](resolved)
    forget_accelerators()
    assert 8 <= tokens <= 8 * 8
    assert 0 < sum(phases.values()) <= seconds
    assert bench.device_of(resolved) == "cpu"
    assert bench.peak_memory_mb(resolved) > 100
    assert training_loops.prompt_tokens(resolved) > 8
