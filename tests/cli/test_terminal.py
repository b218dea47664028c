"""What is printed: nothing that steers a terminal, whatever the stream can show, and errors in one form."""

import errno
import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import typer

from ppo_cli.cli.output import error_boundary, progress_view
from ppo_cli.cli.terminal import ProgressStream, new_console, print_json, print_text
from ppo_cli.errors import DiskFullError, MemoryFullError, PeerLostError, as_ppo_error
from ppo_cli.records.events import Notice
from ppo_cli.text.printable import json_printable, printable
from tests.terminal import error_of, ppo, refused, succeed

HOSTILE = "a\x1b]0;title\x07b\x9b31mc\u202ed\u2066e\u200bf\x00g\rh\udc80"


def test_the_characters_that_are_replaced():
    assert printable("a\tb\nc\x85d 好🙂é") == "a b c d 好🙂é"
    assert printable("a\nb\x1bc", keep_lines=True) == "a\nb c"
    assert printable(HOSTILE).isprintable()
    assert json_printable('"a\x9b\u202e好\U000e0001\udc80"') == '"a\\u009b\\u202e好\\udb40\\udc01\\udc80"'


def test_json_is_printable_and_reads_back_as_it_was(capsys):
    print_json({"text": HOSTILE, "other": "好🙂"})
    out = capsys.readouterr().out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "好🙂" in out
    assert json.loads(out)["text"] == HOSTILE


@pytest.mark.parametrize(
    "words", [("show", HOSTILE), ("train", f"{HOSTILE}.yaml"), (HOSTILE,), ("train", f"--{HOSTILE}")]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_hostile_words_in_errors_are_shown_and_steer_nothing(words, as_json):
    words = [word.replace("\x00", "") for word in words]
    screen = ppo(*words, *(["--json"] if as_json else []))
    assert screen.code == 2
    assert all(char.isprintable() or char == "\n" for char in screen.out + screen.err)
    if as_json:
        assert set(screen.json) == {"error", "next_step", "exit_code"}
    else:
        error_of(screen)


def test_a_console_prints_nothing_that_is_not_printable():
    stream = io.StringIO()
    new_console(file=stream).print(HOSTILE, markup=False, soft_wrap=True)
    assert all(char.isprintable() or char == "\n" for char in stream.getvalue())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_stream_that_is_not_utf_8_shows_what_it_can(monkeypatch, encoding):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    progress = ProgressStream(stream)
    progress.write("KL → 好 ±0.1\n")
    progress.flush()
    assert raw.getvalue().startswith(b"KL ? ? ")
    monkeypatch.setattr(sys, "stdout", stream)
    raw.truncate(0)
    print_json({"text": "好"})
    assert raw.getvalue().endswith(b'{"text": "\\u597d"}\n')


class Broken(io.StringIO):
    """A stream whose reader is gone, or whose disk is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "no space")


@pytest.mark.parametrize("as_json", [False, True])
def test_progress_that_cannot_be_shown_ends_nothing(monkeypatch, as_json):
    for stream in (Broken(), None, closed := io.StringIO()):
        closed.close()
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        with progress_view(as_json) as on_event:
            on_event(Notice(text="a"))
            on_event(Notice(text="b"))
    monkeypatch.setattr(sys, "stdout", None)
    print_text("nothing")
    print_json({})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--bogus"], "No such option: --bogus."),
        (["bogus"], "No such command 'bogus'."),
        (["show"], "Missing argument 'RUN'."),
        (["train", "c.yaml", "--seeds", "x"], "Invalid value for '--seeds'"),
        (["label", "run", "--answers"], "Option '--answers' requires an argument."),
    ],
)
def test_usage_errors_have_the_form_of_all_errors(words, message):
    assert refused(*words).startswith(message)
    name = words[0] if words[0] != "bogus" else None
    screen = ppo(*words[:1], "--json", *words[1:])
    assert screen.code == 2
    assert screen.json["error"].startswith(message)
    assert "--help" in screen.json["next_step"]
    assert screen.err == ""
    assert name is None or "ppo" in screen.json["next_step"]


def test_short_help_and_summaries_that_are_not_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert succeed("-h").out == succeed("--help").out
    assert "..." not in succeed("-h").out.partition("\n")[2]
    assert succeed("train", "-h").out.startswith("Usage: ppo train")
    assert "--show-completion" in succeed("-h").out


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "The memory of the machine is full."),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "The memory of the GPU is full."),
        (RuntimeError("CUDA error: out of memory"), "The memory of the GPU is full."),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "The memory of the machine is full.",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "The memory of the machine is full."),
        (OSError(errno.EMFILE, "Too many open files", "a.json"), "a.json cannot be used: too many open files."),
        (OSError(errno.EFBIG, "File too large"), "The operating system refused a step: file too large."),
    ],
)
def test_what_the_system_refuses_is_one_sentence(error, message):
    known = as_ppo_error(error)
    assert known.message == message
    assert known.next_step
    assert isinstance(known, MemoryFullError) == ("memory" in message)


def test_an_exchange_with_a_process_that_has_ended_is_one_sentence():
    error = RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:9894: Connection reset by peer.")
    known = as_ppo_error(error)
    assert isinstance(known, PeerLostError)
    assert known.message == "Another process of this training has ended."
    assert "--resume" in known.next_step


def test_a_bug_stays_a_bug_and_an_error_stays_itself():
    assert as_ppo_error(RuntimeError("shape mismatch")) is None
    assert as_ppo_error(KeyError("x")) is None
    full = DiskFullError("No space.")
    assert as_ppo_error(full) is full


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_an_error_that_stdout_does_not_take_is_said_on_stderr(monkeypatch):
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails too
    try:
        monkeypatch.setattr(sys, "stdout", full)
        monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
        with pytest.raises(typer.Exit) as ended, error_boundary(as_json=True):
            print_json({"a": 1})
    finally:
        with suppress(OSError):
            full.close()
    assert ended.value.exit_code == DiskFullError.exit_code
    assert "no space left on device" in stream.getvalue()


def test_secrets_in_an_error_are_not_shown():
    assert "hunter2" not in refused("show", "https://h/?api_key=hunter2")
    assert "hf_abcdefgh" not in refused("train", "hf_abcdefgh.yaml")
