"""Runs that many tests look at are made once; one thread, so that every process gives the same numbers."""

import pytest
import torch

from tests.commands.terminal import only_run, succeed
from tests.toys import write_tiny_config


@pytest.fixture(scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def same_numbers_everywhere(one_thread):
    """Every command here computes on one thread."""


@pytest.fixture(scope="session")
def shared_config(tiny_model, tmp_path_factory):
    """The tiny config in a folder that outlives one test."""
    return write_tiny_config(tmp_path_factory.mktemp("shared") / "tiny", tiny_model)


@pytest.fixture(scope="session")
def trained(shared_config, tmp_path_factory, one_thread):
    """Trains the tiny config once for each set of overrides, and gives the run's folder: look, do not touch."""
    made = {}

    def trained(*overrides):
        if overrides not in made:
            output = tmp_path_factory.mktemp("output")
            succeed("train", shared_config, "--output", output, *overrides)
            made[overrides] = only_run(output)
        return made[overrides]

    return trained
