"""The cache of a start model's answers: what it gives back, when it gives nothing, and how large it gets."""

import os
from dataclasses import replace
from threading import Thread

import pytest
import torch

from ppo_cli.errors import DiskFullError
from ppo_cli.models import shared_answers
from ppo_cli.models.cache_dir import cache_folder
from ppo_cli.models.shared_answers import SharedAnswers, sampled_by

ROWS = [
    {"prompt_id": "b", "answers": [{"text": "日本\u2028\r\n \x1f", "z": 1, "a": 0.1 + 0.2}], "kl": 1e-310},
    {"prompt_id": "a", "answers": [], "kl": None},
]
SETTINGS = {"seed": 1, "temperature": 0.7}


@pytest.fixture
def events():
    return []


@pytest.fixture
def shared(events):
    model = sampled_by("w" * 64, {"weights": {}}, torch.device("cpu"), torch.float32, processes=1)
    return SharedAnswers(model=model, on_event=events.append)


def files():
    return sorted((cache_folder() / "answers").iterdir())


def test_rows_come_back_as_they_were_with_the_order_of_their_keys(shared, events):
    assert shared.find("answers of step 0", SETTINGS) is None
    shared.keep("answers of step 0", SETTINGS, ROWS)
    assert events == []
    found = shared.find("answers of step 0", SETTINGS)
    assert found == ROWS
    assert [list(row) for row in found] == [list(row) for row in ROWS]
    assert list(found[0]["answers"][0]) == ["text", "z", "a"]
    assert events[0].text == "The answers of step 0 are those that an earlier run sampled, from the cache."


def test_everything_that_answers_depend_on_is_in_the_key(shared, monkeypatch):
    shared.keep("answers of step 0", SETTINGS, ROWS)
    assert shared.find("baseline answers", SETTINGS) is None
    assert shared.find("answers of step 0", {**SETTINGS, "seed": 2}) is None
    for name in shared.model:
        other = replace(shared, model={**shared.model, name: "other"})
        assert other.find("answers of step 0", SETTINGS) is None, name
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    threads = sampled_by("w" * 64, {"weights": {}}, torch.device("cpu"), torch.float32, processes=1)
    assert replace(shared, model=threads).find("answers of step 0", SETTINGS) is None


def test_the_code_is_part_of_the_key(tmp_path):
    digest = shared_answers._code_digest()
    assert digest == shared_answers._code_digest.__wrapped__()
    package = shared_answers.Path(shared_answers.ppo_cli.__file__).parent
    assert all((package / name).exists() for name in shared_answers.SAMPLING_CODE)


@pytest.mark.parametrize("change", ["cut", "flip", "head", "empty", "other"])
def test_a_damaged_file_is_named_ignored_and_replaced(shared, events, change):
    shared.keep("baseline answers", SETTINGS, ROWS)
    (path,) = files()
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-5],
            "flip": content.replace(b'"a": 0.3', b'"a": 0.4'),
            "head": b"\xff" + content[1:],
            "empty": b"",
            "other": content.replace(path.stem.encode(), b"0" * 64),
        }[change]
    )
    assert shared.find("baseline answers", SETTINGS) is None
    (notice,) = events
    assert notice.level == "warning"
    assert notice.text == f"The cached baseline answers in {path} are damaged, so they are made anew."
    shared.keep("baseline answers", SETTINGS, ROWS)
    assert path.read_bytes() == content
    assert shared.find("baseline answers", SETTINGS) == ROWS


def test_the_files_that_were_not_used_for_longest_make_room(shared, monkeypatch):
    shared.keep("baseline answers", {"number": 0}, ROWS)
    monkeypatch.setattr(shared_answers, "MAX_BYTES", 3 * files()[0].stat().st_size + 20)
    for number in (1, 2):
        shared.keep("baseline answers", {"number": number}, ROWS)
    for age, path in enumerate(files()):
        os.utime(path, (1000 + age, 1000 + age))
    oldest_by_name = files()[0]
    used = next(n for n in range(3) if shared._key("baseline answers", {"number": n}) == oldest_by_name.stem)
    assert shared.find("baseline answers", {"number": used}) == ROWS
    shared.keep("baseline answers", {"number": 3}, ROWS)
    assert len(files()) == 3
    assert oldest_by_name in files()
    monkeypatch.setattr(shared_answers, "MAX_BYTES", 10)
    shared.keep("baseline answers", {"number": 4}, ROWS)
    assert len(files()) == 3


def test_a_cache_that_cannot_be_written_is_named_and_stops_nothing(shared, events, monkeypatch):
    def full(path, _content):
        raise DiskFullError(f"No space is left on the disk of {path}.", "Free some space.")

    monkeypatch.setattr(shared_answers, "write_bytes", full)
    shared.keep("baseline answers", SETTINGS, ROWS)
    assert events[0].text.startswith("The baseline answers are not kept for other runs: No space is left")
    (cache_folder() / "answers").rmdir()
    (cache_folder() / "answers").write_text("in the way")
    shared.keep("baseline answers", SETTINGS, ROWS)
    assert "are not kept for other runs" in events[1].text
    assert shared.find("baseline answers", SETTINGS) is None


def test_writers_and_readers_at_once_see_whole_files_only(shared, events):
    """Two processes that sample the same answers write the same bytes; a reader sees all of them or none."""
    seen = []

    def work():
        for _ in range(20):
            shared.keep("baseline answers", SETTINGS, ROWS)
            seen.append(shared.find("baseline answers", SETTINGS))

    workers = [Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == [ROWS] * 80
    assert {event.level for event in events} == {"info"}
    assert len(files()) == 1
