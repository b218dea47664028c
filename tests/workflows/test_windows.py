"""A system like Windows (`tests.windows`): everything imports, a run trains, and the same bytes come out as here."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import windows
from tests.terminal import only_run, process_environment, records

ROOT = Path(__file__).parents[2]

IMPORT_ALL = """
import importlib, pkgutil, ppo_cli
names = [module.name for module in pkgutil.walk_packages(ppo_cli.__path__, "ppo_cli.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""

TRAIN = """
import sys
from ppo_cli.records import process_limits
from ppo_cli.store.file_locks import is_locked, lock_until_closed
from ppo_cli.store.run_lock import RunLock
from pathlib import Path

lock = RunLock(Path("lock"))
assert is_locked(Path("lock"))
lock.remove()
assert not is_locked(Path("lock")) and not Path("lock").exists()
with Path("votes").open("a+b") as file:
    lock_until_closed(file.fileno())
    file.write(b"one")
assert Path("votes").read_bytes() == b"one"
assert process_limits.machine_memory_bytes() > 1e8
assert process_limits.open_file_limits() is None

import ppo_cli
result = ppo_cli.train(sys.argv[1])
assert ppo_cli.find_run(result.run).state().status == "finished"
"""


def on_windows(code, *words, cwd):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(ROOT / "tests" / "windows.py"), code, *map(str, words)],
        cwd=cwd,
        env=process_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.process
@pytest.mark.long
def test_every_module_imports(tmp_path):
    count = len([path for path in (ROOT / "ppo_cli").rglob("*.py") if path != ROOT / "ppo_cli" / "__init__.py"])
    assert int(on_windows(IMPORT_ALL, cwd=tmp_path)) == count


@pytest.mark.process
@pytest.mark.long
def test_a_run_trains_to_the_same_bytes_as_here(shared_config, trained, tmp_path):
    here = trained()
    on_windows(TRAIN, shared_config, cwd=tmp_path)
    assert records(only_run(tmp_path / "runs")) == records(here)


def test_the_stand_in_hides_what_it_says():
    for name in ("os", "signal"):
        seen = windows.SEEN[name]
        assert all(not hasattr(seen, hidden) for hidden in windows.HIDDEN[name])
    assert windows.SEEN["sys"].platform == "win32"
    assert windows.SEEN["os"].getpid() > 0


def test_posix_modules_are_imported_in_one_module_each():
    found = {}
    for path in sorted((ROOT / "ppo_cli").rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and words[1] in windows.HIDDEN_MODULES:
                found.setdefault(words[1], []).append(path.name)
    assert found == {"fcntl": ["file_locks.py"], "resource": ["process_limits.py"]}
