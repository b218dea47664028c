"""Versions of Python and the libraries, trackers, and what the terminal can show.

Not here: the device (`device`).
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec

import ppo_cli
from ppo_cli.experiment.schema import TRACKERS
from ppo_cli.records.doctor import DoctorCheck

OLDEST_PYTHON = (3, 11)
SHOWN = ("torch", "transformers", "trl", "peft", "accelerate", "numpy")
"""Libraries whose versions change what a training computes."""
PACKAGE = "ppo-cli"
COLUMNS = 80
"""Columns that the screens need."""


def versions() -> list[DoctorCheck]:
    """Whether Python and every library that the package asks for are there, in versions that it accepts."""
    from packaging.requirements import Requirement

    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}, {platform.machine()}"
    checks = [
        DoctorCheck(name="ppo", status="ok", saw=f"{ppo_cli.__version__}, {python}")
        if sys.version_info >= OLDEST_PYTHON
        else DoctorCheck(
            name="ppo",
            status="fail",
            saw=f"{ppo_cli.__version__}, {python}, which is too old.",
            next_step="Install Python 3.11 or newer, and make a new environment with it.",
        )
    ]
    wrong = []
    for line in _requirements():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = _version(requirement.name)
        if installed is None:
            wrong.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} is {installed}, and {requirement.specifier} is needed")
    found = ", ".join(f"{name} {_version(name) or 'missing'}" for name in SHOWN)
    if not wrong:
        return [*checks, DoctorCheck(name="libraries", status="ok", saw=found)]
    return [
        *checks,
        DoctorCheck(
            name="libraries",
            status="fail",
            saw=f"{'; '.join(wrong)}.",
            next_step=f"Install it anew: `{PYTHON} -m pip install --upgrade {PACKAGE}`, or `make test` in a checkout.",
        ),
    ]


PYTHON = "python"
"""As a person types it in the activated environment; the path of the interpreter would name a folder of theirs."""


def trackers() -> list[DoctorCheck]:
    """Which trackers are installed; none is needed."""
    here = [name for name in TRACKERS if _is_installed(name)]
    absent = [name for name in TRACKERS if name not in here]
    saw = ", ".join(f"{name} {_version(name) or 'of an unknown version'}" for name in here) or "none is installed"
    step = f"To use one: `{PYTHON} -m pip install {absent[0]}`, then tracking: [{absent[0]}]." if not here else ""
    more = f"; not installed: {', '.join(absent)}" if here and absent else ""
    return [DoctorCheck(name="trackers", status="ok", saw=f"{saw}{more}", next_step=step)]


def terminal() -> list[DoctorCheck]:
    """Whether the live view and its signs can be shown."""
    stream = sys.stdout
    encoding = (getattr(stream, "encoding", None) or locale.getpreferredencoding(False)).lower()
    colour = "no colour (NO_COLOR)" if os.environ.get("NO_COLOR") else "colour"
    columns, rows = shutil.get_terminal_size((0, 0))
    is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    where = f"{columns} × {rows}, {colour}, {encoding}" if is_terminal else f"a pipe or a file, {encoding}"
    if encoding.replace("-", "") not in ("utf8", "utf8sig"):
        step = "Set PYTHONIOENCODING=utf-8; until then signs that the encoding lacks are shown as `?`."
        return [
            DoctorCheck(name="terminal", status="warn", saw=f"{where}: it has no such signs as ▲ and –", next_step=step)
        ]
    if is_terminal and columns < COLUMNS:
        step = f"Make the window {COLUMNS} columns wide; tables of a narrower one are folded."
        return [DoctorCheck(name="terminal", status="warn", saw=f"{where}: narrow", next_step=step)]
    return [DoctorCheck(name="terminal", status="ok", saw=where)]


def _requirements() -> list[str]:
    try:
        return metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return [f"{name}" for name in SHOWN]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _is_installed(name: str) -> bool:
    module = find_spec(name)
    return module is not None and module.origin is not None  # without an origin it is some folder of that name
