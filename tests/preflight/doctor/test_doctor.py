"""`ppo doctor`: what it sees on this machine, on one that is out of order, and what a bug report does not hold."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ppo_cli.preflight.doctor import network, run, software, storage
from ppo_cli.preflight.doctor.private_paths import without_own_paths
from ppo_cli.records.doctor import DoctorCheck, DoctorResult
from ppo_cli.records.events import Phase, Progress
from tests.terminal import error_of, ppo, succeed

NAMES = ["ppo", "libraries", "device", "memory", "disk", "file locks", "model cache", "hub", "hub token", "hub cache"]
NAMES += ["trackers", "terminal"]
PROGRAM = ("GPU", "Apple GPU")
"""Lines that only some machines have."""


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in (
        "HF_TOKEN",
        "HF_ENDPOINT",
        "HF_HUB_CACHE",
        *network.PROXIES,
        *network.OFFLINE_VARIABLES,
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def server():
    """The address of a server that answers every connection with the status that is asked for in `statuses`."""
    listener = socket.create_server(("127.0.0.1", 0))
    statuses = [200]

    def answer():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(
                    f"HTTP/1.1 {statuses[0]} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", statuses
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def one(checks):
    (check,) = checks
    return check


def result_of(*checks):
    return DoctorResult(version="1", status="ok", checks=checks, date="2026-11-27T00:00:00+00:00", seconds=1.0)


# --- the whole command -------------------------------------------------------------------------------


def test_it_trains_a_toy_model_and_leaves_nothing_behind(tmp_path):
    events = []
    result = run.doctor(train_seconds=0.2, hub=False, on_event=events.append)
    names = [check.name for check in result.checks if check.name not in PROGRAM]
    assert names == [*NAMES, "toy training"]
    assert result.status != "fail", result.checks
    said = result.checks[-1].saw
    match = re.fullmatch(r"(\d+) updates? in ([\d.]+) s on (\w+): ([\d.]+) answers per second, reward .+ → .+", said)
    assert match, said
    assert float(match[4]) == pytest.approx(int(match[1]) * 32 / float(match[2]), rel=0.05 / float(match[2]) + 0.01)
    phases = [event.name for event in events if isinstance(event, Phase)]
    assert phases[-1] == "training a toy model"
    assert [event for event in events if isinstance(event, Progress)]
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "state"}  # no run folder, no file of a try


def test_the_screen_has_a_line_per_check_with_what_to_do(no_token):
    screen = succeed("doctor", "--train-seconds", "0", "--no-hub")
    assert all(re.search(rf"(ok|warn) +{re.escape(name)}\b", screen.out) for name in NAMES), screen.out
    assert "nothing to do" in screen.out
    assert "This machine can train" in screen.out


def test_what_stops_a_training_sets_the_exit_code(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    screen = ppo("doctor", "--train-seconds", "0", "--no-hub", "--runs-dir", "file/runs")
    assert screen.code == 5
    assert error_of(screen) == "Failed checks: disk. → Do what stands beside each, from the top."
    screen = ppo("doctor", "--train-seconds", "0", "--no-hub", "--runs-dir", "file/runs", "--json")
    assert screen.code == 5
    assert [row["name"] for row in screen.json["checks"] if row["status"] == "fail"] == ["disk"]


def test_an_error_in_one_check_leaves_the_others(monkeypatch):
    def broken():
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(software, "trackers", broken)
    result = run.doctor(train_seconds=0, hub=False)
    (failed,) = (check for check in result.checks if check.status == "fail")
    assert failed.saw == "ImportError: libgomp.so.1: cannot open shared object file."
    assert result.checks[-1].name == "terminal"


BROKEN = """
import sys

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy", "scipy"):
            raise ImportError(f"{name}: undefined symbol")

sys.meta_path.insert(0, Broken())
sys.argv = ["ppo", "doctor", "--train-seconds", "1", "--no-hub", "--json"]
from ppo_cli.cli import main
main()
"""


@pytest.mark.process
def test_it_works_where_the_libraries_of_a_training_do_not(tmp_path):
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BROKEN], capture_output=True, text=True, check=False
    )
    assert process.returncode == 5, process.stderr
    checks = json.loads(process.stdout)["checks"]
    failed = {row["name"]: (row["saw"], row["next_step"]) for row in checks if row["status"] == "fail"}
    said = ("ImportError: torch: undefined symbol.", "Install the library that it names anew.")
    assert failed == {"device": said, "toy training": said}


# --- the hub -----------------------------------------------------------------------------------------


def test_offline_mode_asks_nobody(no_token, monkeypatch):
    monkeypatch.setattr(network, "_why_unreachable", lambda _address: pytest.fail("it was asked"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    check = network.hub()[0]
    assert (check.status, check.saw) == ("ok", "offline mode (HF_HUB_OFFLINE); https://huggingface.co is not asked")


def test_a_mirror_is_asked_and_named_without_its_password(no_token, server, monkeypatch):
    address, statuses = server
    host = address.removeprefix("http://")
    monkeypatch.setenv("HF_ENDPOINT", f"http://me:pass-word-1@{host}/path")
    check = network.hub()[0]
    assert (check.status, check.saw) == ("ok", f"http://{host}, a mirror (HF_ENDPOINT) answers")
    statuses[0] = 503
    check = network.hub()[0]
    assert (check.status, check.saw) == ("warn", f"http://{host}, a mirror (HF_ENDPOINT) does not answer: status 503")
    assert "docs/offline.md" in check.next_step


def test_a_hub_that_is_not_there_or_no_address_is_a_warning(no_token, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert network.hub()[0].saw == "http://127.0.0.1:9, a mirror (HF_ENDPOINT) does not answer: ConnectError"
    for wrong in ("hf-mirror", "http://", "ftp://a"):
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        check = network.hub()[0]
        assert (check.status, check.saw) == ("warn", "HF_ENDPOINT is no address.")


def test_a_token_is_set_or_not_set_and_never_shown(no_token, monkeypatch, tmp_path):
    secret = "hf_correcthorsebattery"
    assert network.hub(ask=False)[1].saw == "not set"
    monkeypatch.setenv("HF_TOKEN", secret)
    screen = succeed("doctor", "--train-seconds", "0", "--no-hub", "--json")
    assert {row["name"]: row["saw"] for row in screen.json["checks"]}["hub token"] == "set (HF_TOKEN)"
    assert secret not in screen.out + screen.err
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(secret)
    assert network.hub(ask=False)[1].saw == "set (by `hf auth login`)"


# --- the disk ----------------------------------------------------------------------------------------


def test_little_space_warns_and_less_fails(monkeypatch):
    sizes = [20e9, 4e9, 0.4e9]
    usage = type("Usage", (), {})
    states = []
    for size in sizes:
        usage.free = size
        monkeypatch.setattr(storage.shutil, "disk_usage", lambda _folder: usage)
        states.append(one(storage.disk(Path("runs"))).status)
    assert states == ["ok", "warn", "fail"]


def test_locks_that_keep_nobody_out_fail(monkeypatch):
    assert one(storage.file_locks(Path("runs"))).status == "ok"
    monkeypatch.setattr(storage, "is_locked", lambda _path: False)
    assert one(storage.file_locks(Path("runs"))).saw == "a lock does not keep others out."


# --- versions ----------------------------------------------------------------------------------------


def test_a_library_that_is_missing_or_too_old_is_named(monkeypatch):
    wanted = ["torch>=2.8", "nosuchlibrary>=1", "numpy>=99", "pytest>=8; extra == 'dev'"]
    monkeypatch.setattr(software, "_requirements", lambda: wanted)
    check = software.versions()[1]
    assert check.status == "fail"
    assert re.fullmatch(r"nosuchlibrary is missing; numpy is [\d.]+, and >=99 is needed\.", check.saw)


# --- a bug report ------------------------------------------------------------------------------------


def test_a_bug_report_has_no_folder_of_a_person_and_no_secret(monkeypatch, tmp_path):
    home = tmp_path / "home" / "jane doe"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    said = (
        f"{home}/.cache/ppo-cli, 5 GB free; {home}/secret project/runs; {Path.cwd()}/plan.yaml; "
        "~/.cache/huggingface (HF_HOME); /mnt/jane/data: no such file; https://mirror.example; token=abc; 3/4 done"
    )
    check = DoctorCheck(name="disk", status="ok", saw=said, next_step="Set HF_TOKEN=hf_abcdefgh12345.")
    reported = one(without_own_paths(result_of(check)).checks)
    assert "~/.cache/ppo-cli, 5 GB free" in reported.saw
    assert "~/.cache/huggingface (HF_HOME)" in reported.saw
    assert "https://mirror.example" in reported.saw
    assert "3/4 done" in reported.saw
    for private in ("jane", "doe", "project", "plan.yaml", "data", "abc", str(tmp_path)):
        assert private not in reported.saw + reported.next_step, private


def test_the_json_of_this_machine_has_no_path_of_it(no_token):
    screen = succeed("doctor", "--train-seconds", "0", "--no-hub", "--json")
    report = json.loads(screen.out)
    assert report["status"] in ("ok", "warn")
    text = json.dumps(report)
    assert str(Path.cwd()) not in text
    assert os.path.expanduser("~") + "/" not in text  # noqa: PTH111
