"""Trainings by TRL's loop and by ours, each with a fresh accelerate."""

import numpy as np
import pytest


@pytest.fixture
def stock(tmp_path, monkeypatch):
    """Builds a training by TRL's own loop."""
    from tests.engine.trl_stock_trainer import Stock, collect_no_garbage, forget_accelerators

    collect_no_garbage(monkeypatch)
    np.random.seed(0)  # noqa: NPY002 - TRL orders its minibatches by the global generator
    yield lambda **settings: Stock(tmp_path / "stock", **settings)
    forget_accelerators()


@pytest.fixture
def ours(tiny_config, tiny_model, tmp_path):
    """Builds a training by our loop."""
    from tests.engine.trl_stock_trainer import Ours

    return lambda *overrides, model=tiny_model, **given: Ours(
        tiny_config, model, tmp_path / "ours", *overrides, **given
    )
