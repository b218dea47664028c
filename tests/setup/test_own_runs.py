"""The key of a user's own runs outlives the cache, and is found where a read-only home put it."""

import shutil

import pytest

from ppo_cli.experiment.freeze import freeze
from ppo_cli.models.cache_dir import key_folders
from ppo_cli.setup.own_runs import KEY_FILE, mark_of
from tests.stats.test_rounds import EXPERIMENT

LOCK = freeze(EXPERIMENT, {}, {})


@pytest.fixture
def places(tmp_path):
    """Where the key lies, and where it may lie where the home folder may not be written."""
    return tmp_path / "state" / "ppo-cli" / KEY_FILE, tmp_path / "cache" / KEY_FILE


def test_a_mark_stays_the_same_when_the_cache_is_emptied(places, tmp_path):
    mark = mark_of(LOCK)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert mark_of(LOCK) == mark
    assert [place.is_file() for place in places] == [True, False]


def test_a_key_in_the_cache_alone_is_copied_to_where_it_outlives_it(places):
    mark = mark_of(LOCK)
    state, cache = places
    cache.parent.mkdir(exist_ok=True)
    state.rename(cache)
    assert mark_of(LOCK) == mark
    assert state.read_bytes() == cache.read_bytes()
    cache.unlink()
    assert mark_of(LOCK) == mark


def test_a_home_that_may_not_be_written_keeps_the_key_in_the_cache(places, tmp_path):
    (tmp_path / "state").write_text("a file, so that no folder can be made here")
    mark = mark_of(LOCK)
    assert mark is not None
    assert mark_of(LOCK) == mark
    assert [place.is_file() for place in places] == [False, True]


def test_without_a_home_and_a_cache_it_lies_in_a_folder_of_this_users_own(monkeypatch, tmp_path):
    for variable in ("XDG_STATE_HOME", "PPO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "shared"))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "file" / "home")
    (tmp_path / "shared").mkdir()
    (tmp_path / "file").write_text("")
    assert [folder.parent.name for folder in key_folders()][-1] == "shared"
    assert mark_of(LOCK) == mark_of(LOCK) is not None
    assert next((tmp_path / "shared").iterdir()).stat().st_mode & 0o77 == 0


def test_where_no_key_can_be_kept_there_is_no_mark(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "state"))
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "file" / "cache"))
    assert mark_of(LOCK) is None
