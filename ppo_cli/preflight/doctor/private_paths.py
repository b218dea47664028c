"""How a report shows folders: on a screen in full, in a bug report without what a person has called them.

Not here: secrets (`records.secrets`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from ppo_cli.records.doctor import DoctorCheck, DoctorResult
from ppo_cli.records.secrets import masked

STANDARD = re.compile(r"~/\.(?:cache|local)(?:/(?:state|ppo-cli|huggingface|hub))*(?![\w/.-])")
"""Folders of the home folder that every user has under the same name."""
_WORD = r"[^\s'\"`,;:)]*"
PATH = re.compile(rf"(?:^|(?<=[\s'\"`(=]))(?:(?:~|[A-Za-z]:)?[/\\]|\.{{1,2}}/){_WORD}(?: {_WORD}[/\\]{_WORD})*")
"""A path in a sentence, with the blanks inside it; an address has its scheme before it."""
HIDDEN_PATH = "PATH"


def shown(path: Path) -> str:
    """A path as a screen shows it: ~ for the home folder."""
    text, home = str(path), _home()
    return f"~{text[len(home) :]}" if home and (text == home or text.startswith(f"{home}/")) else text


def without_own_paths(result: DoctorResult) -> DoctorResult:
    """The report without the names of a person's folders and without secrets, for a bug report.

    What remains are ~ and the standard folders below it; any other path is the word PATH.
    """
    return replace(result, checks=tuple(_without_own_paths(check) for check in result.checks))


def _without_own_paths(check: DoctorCheck) -> DoctorCheck:
    return replace(check, saw=_hidden(check.saw), next_step=_hidden(check.next_step))


def _hidden(text: str) -> str:
    home = _home()
    known = {str(Path.cwd()): "", tempfile.gettempdir(): "", sys.prefix: "", sys.base_prefix: "", home: "~"}
    for folder in sorted(known, key=len, reverse=True):  # as a whole, for they may have blanks
        for spelt in {folder, shown(Path(folder))} - {"", "/", ".", "~"}:
            text = text.replace(f"{spelt}/", f"{known[folder]}/").replace(spelt, f"{known[folder]}/")
    return masked(
        PATH.sub(lambda path: path[0] if path[0] == "~/" or STANDARD.fullmatch(path[0]) else HIDDEN_PATH, text)
    )


def _home() -> str:
    try:
        home = str(Path.home())
    except RuntimeError:  # no home folder
        return ""
    return "" if home == "/" else home
