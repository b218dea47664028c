"""No test touches the user's world: offline, with a cache and a working folder of its own."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # the same numbers everywhere; tiny models lose time on a second thread

import pytest

from ppo_cli.errors import ModelUnreachableError
from ppo_cli.models.cache_dir import CACHE_VARIABLE, cache_folder

USERS_CACHE = cache_folder()


LONG_FIRST = ("workflows", "training", "rewards", "preflight", "evaluation")
"""Folders whose files take longest, in this order; with several processes a long file that begins last ends alone."""


def pytest_collection_modifyitems(items):
    """Puts the long files first; the order within a file stays."""

    def place(item):
        return next((LONG_FIRST.index(part) for part in item.path.parts if part in LONG_FIRST), len(LONG_FIRST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def own_world(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def builtin_model(monkeypatch):
    """The real built-in model, from the user's cache; fetched the first time."""
    from ppo_cli.models.builtin import builtin_folder

    monkeypatch.setenv(CACHE_VARIABLE, str(USERS_CACHE))
    try:
        return builtin_folder()
    except ModelUnreachableError as error:
        pytest.skip(f"the built-in model cannot be fetched here: {error}")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A tiny random Llama with a tokenizer and a chat template, as a folder."""
    from tests.tiny_models import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def tiny_config(tiny_model, tmp_path):
    """A config that trains the tiny model in a second or two."""
    from tests.tiny_models import write_tiny_config

    return write_tiny_config(tmp_path / "tiny", tiny_model)


@pytest.fixture(scope="session")
def shared_config(tiny_model, tmp_path_factory):
    """The tiny config in a folder that outlives one test."""
    from tests.tiny_models import write_tiny_config

    return write_tiny_config(tmp_path_factory.mktemp("shared") / "tiny", tiny_model)


@pytest.fixture(scope="session")
def trained(shared_config, tmp_path_factory):
    """Trains the tiny config once for each set of overrides, and gives the run's folder, which no test may change."""
    from tests.terminal import only_run, succeed

    made, evaluations = {}, {}

    def evaluated(run):
        return sorted(path.name for path in (run / "eval").iterdir())

    def trained(*overrides):
        if overrides not in made:
            output = tmp_path_factory.mktemp("output")
            succeed("train", shared_config, "--runs-dir", output, *overrides)
            made[overrides] = only_run(output)
            evaluations[overrides] = evaluated(made[overrides])
        return made[overrides]

    yield trained
    for overrides, run in made.items():
        assert evaluated(run) == evaluations[overrides], "a test added to this shared run: let it work on a copy"
