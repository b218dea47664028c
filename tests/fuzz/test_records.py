"""No record of a run, however wrong, makes a command that looks at runs end in anything but a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.limits import FUZZ, for_a_while
from tests.fuzz.values import changed, places, values
from tests.made_runs import make_run
from tests.terminal import ppo

pytestmark = pytest.mark.slow
RAW = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"{" * 3000,
    b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}\n",
    b'{"a": ' + b"9" * 5000 + b"}\n",
    b'{"id": NaN}\n',
    b'{"id": 1e999}\n',
    b"a: &a [*a]\n",
    b"null: 1\n",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    whole, other = make_run(folder, prompts=6), make_run(folder, prompts=6, kl={"coef": 0.2})
    for path in other.rglob("*"):
        path.chmod(0o644 if path.is_file() else 0o755)
    return folder, whole, other


@pytest.mark.filterwarnings("ignore")
def test_a_wrong_value_in_any_record(runs):
    for_a_while("records", lambda check_time: _look_at(runs, check_time))


def _look_at(runs, check_time):
    folder, whole, run = runs
    files = [*sorted(path for path in run.rglob("*.*") if path.is_file()), run / "metrics.jsonl"]
    commands = (
        ("runs", "--runs-dir", folder),
        ("runs", "--runs-dir", folder, "--diff", "--sort", "kl.coef"),
        ("runs", "--runs-dir", folder, "--json"),
        ("show", run),
        ("compare", whole, run, "--markdown"),
    )

    @FUZZ
    @given(st.integers(0, 10_000), st.integers(0, 10_000), values, st.booleans(), st.sampled_from([None, *RAW]))
    def look(which, number, value, delete, raw):
        path = files[which % len(files)]
        name = path.name
        check_time()
        before = path.read_bytes() if path.is_file() else None
        try:
            path.write_bytes(raw if raw is not None else _edited(before, number, value, delete))
            for command in commands:
                check_time()
                screen = ppo(*command)
                assert "Internal error" not in screen.out + screen.err, (name, command)
                assert screen.code in (0, 1, 2, 3, 4, 5), (name, command)
                assert all(char.isprintable() or char == "\n" for char in screen.out + screen.err), (name, command)
            assert ppo(*commands[0]).code == 0, name
        finally:
            path.unlink() if before is None else path.write_bytes(before)

    look()


def _edited(before, number, value, delete):
    """A file with one value changed: of JSON within its tree, of other text at a byte."""
    if not before:
        return json.dumps({"update": value}).encode() + b"\n"
    try:
        tree = json.loads(before)
        lines = []
    except ValueError:
        lines = before.splitlines()
        try:
            tree = json.loads(lines[0])
        except ValueError:
            at = number % (len(before) + 1)
            return before[:at] + json.dumps(value).encode() + before[at + 5 :]
    found = list(places(tree))
    first = json.dumps(changed(tree, found[number % len(found)], value, delete=delete)).encode()
    return b"\n".join([first, *lines[1:], b""]) if lines else first
