"""Safe writing and reading: crashes, full disks, torn and damaged files."""

import errno
import os
from pathlib import Path

import pytest

from ppo_cli.errors import IntegrityError, PpoError, UsageError
from ppo_cli.store.files import (
    append_lines,
    disk_errors,
    make_runs_folder,
    read_json,
    read_lines,
    truncate_lines,
    write_json,
    write_text,
)


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture
def old_file(tmp_path):
    path = tmp_path / "state.json"
    write_text(path, "old\n")
    return path


@pytest.mark.parametrize(("owner", "step"), [(Path, "replace"), (os, "fsync")])
def test_a_crash_before_the_rename_leaves_the_old_file_whole_and_no_litter(old_file, monkeypatch, owner, step):
    def crash(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, step, crash)
    with pytest.raises(KeyboardInterrupt):
        write_text(old_file, "new\n")
    assert old_file.read_text() == "old\n"
    assert list(old_file.parent.iterdir()) == [old_file]


def test_the_new_content_is_on_the_disk_before_it_gets_its_name(old_file, monkeypatch):
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, target: (order.append("rename"), replace(self, target))[1])
    write_text(old_file, "new\n")
    assert order == ["fsync", "rename", "fsync"]
    assert old_file.read_text() == "new\n"


def test_line_ends_are_written_as_they_are(tmp_path):
    write_text(tmp_path / "a", "one\r\ntwo\n好")
    assert (tmp_path / "a").read_bytes() == "one\r\ntwo\n好".encode()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(old_file, monkeypatch, code):
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(PpoError, match=r"No space is left on the disk of .*state\.json") as caught:
        write_text(old_file, "new\n")
    assert caught.value.exit_code == 1
    assert caught.value.next_step == "Free some space, then run the command again."
    assert old_file.read_text() == "old\n"


def test_a_full_disk_while_appending_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(PpoError, match="No space is left"):
        append_lines(tmp_path / "metrics.jsonl", [{"update": 1}])


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_missing_permission_is_one_sentence(tmp_path, code):
    with pytest.raises(UsageError, match="No permission to write") as caught, disk_errors(tmp_path):
        failing(code)()
    assert caught.value.exit_code == 2
    assert "Change its permissions" in caught.value.next_step


@pytest.mark.parametrize("inner", [False, True])
def test_a_command_says_how_it_writes_elsewhere(tmp_path, monkeypatch, inner):
    monkeypatch.setattr(os, "fsync", failing(errno.EROFS))
    with pytest.raises(UsageError, match="No permission") as caught, disk_errors(tmp_path, "Name it with --html."):
        write_text(tmp_path / "x", "") if inner else failing(errno.EACCES)()
    assert caught.value.next_step == "Name it with --html."


def test_a_path_below_a_regular_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: not a directory"):
        write_text(tmp_path / "file" / "run.json", "{}")


def test_other_failures_of_the_disk_are_not_dressed_up(tmp_path):
    with pytest.raises(OSError, match="Input/output"), disk_errors(tmp_path):
        failing(errno.EIO)()


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b'"text"', b"\xff\xfe", b'{"a": "\xe5\xa5'])
def test_damaged_json_is_an_integrity_error(tmp_path, content):
    path = tmp_path / "summary.json"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"summary\.json is damaged") as caught:
        read_json(path)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("read", [read_json, read_lines])
def test_a_missing_or_unreadable_file_is_an_integrity_error(tmp_path, read):
    with pytest.raises(IntegrityError, match="is missing"):
        read(tmp_path / "none")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read(tmp_path)


def test_json_is_written_for_people_and_read_back(tmp_path):
    value = {"b": 1, "a": "好"}
    write_json(tmp_path / "x.json", value)
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "好"\n}\n'
    assert read_json(tmp_path / "x.json") == value


def test_no_json_with_nan_is_ever_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_last_line_that_a_kill_cut_off_is_left_out(tmp_path, cut):
    """Also where the cut falls inside a letter of several bytes."""
    path = tmp_path / "rollouts.jsonl"
    append_lines(path, [{"answer": "好的"}, {"answer": "好的"}])
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_lines(path) == [{"answer": "好的"}]


@pytest.mark.parametrize("line", [b"{", b"", b"[1]", b"\xff"])
def test_a_damaged_line_in_the_middle_is_an_integrity_error_with_its_number(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"update": 1}\n' + line + b'\n{"update": 3}\n')
    with pytest.raises(IntegrityError, match=r"metrics\.jsonl, line 2 is damaged"):
        read_lines(path)


def test_a_line_end_inside_a_text_does_not_end_the_line(tmp_path):
    rows = [{"answer": "one\ntwo\u2028three\r\x85"}]
    append_lines(tmp_path / "a.jsonl", rows)
    assert read_lines(tmp_path / "a.jsonl") == rows


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_keeping_lines_drops_the_later_ones_and_a_torn_end(tmp_path, wanted):
    path = tmp_path / "metrics.jsonl"
    append_lines(path, [{"note": "好", "update": number} for number in (1, 2)])
    path.write_bytes(path.read_bytes() + '{"note": "好'.encode()[:-1])
    truncate_lines(path, wanted)
    append_lines(path, [{"update": 9}])
    assert [row["update"] for row in read_lines(path)] == [*[1, 2][:wanted], 9]


def test_keeping_more_lines_than_there_are_is_an_integrity_error(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_lines(path, [{"update": 1}])
    with pytest.raises(IntegrityError, match="has 1 of 2 lines"):
        truncate_lines(path, 2)
    with pytest.raises(IntegrityError, match="has 0 of 1 lines"):
        truncate_lines(tmp_path / "none", 1)
    truncate_lines(tmp_path / "none", 0)
    assert path.read_text() == '{"update": 1}\n'


def test_a_folder_of_runs_that_is_made_keeps_runs_out_of_a_repository(tmp_path):
    make_runs_folder(tmp_path / "a" / "runs")
    assert (tmp_path / "a" / "runs" / ".gitignore").read_text() == "*\n"
    (tmp_path / "a" / "runs" / ".gitignore").write_text("mine")
    make_runs_folder(tmp_path / "a" / "runs")
    assert (tmp_path / "a" / "runs" / ".gitignore").read_text() == "mine"
    (tmp_path / "own").mkdir()
    make_runs_folder(tmp_path / "own")
    assert list((tmp_path / "own").iterdir()) == []
