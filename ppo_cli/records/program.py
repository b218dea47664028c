"""Suggested commands: how this program was started, and what to type next, quoted for a shell.

Not here: the command line that a run records (`store.provenance`).
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "ppo"
CHECKOUT_CONFIG = Path("configs/refusal.yaml")
"""The example experiment; only a checkout of this project has it."""
INIT_CONFIG = Path("my-exp/experiment.yaml")
"""What `ppo init refusal my-exp` writes."""


def command(*words: object) -> str:
    """A command line for the shell that started this process.

    Args:
        words: what follows the program, such as `"train", "--resume", path`; each is quoted where a shell needs it.
    """
    return " ".join([_program(), *map(_quoted, words)])


def _quoted(word: object) -> str:
    r"""A word for a shell; one with characters that no screen shows as `$'…'`, so that it stays on one line.

    The result is printable and pastes as the same word, whatever a folder or a record of someone else is called;
    a path that begins as an option does is told apart from one.
    """
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if text.isprintable():
        return shlex.quote(text)
    parts = []
    for char in text:
        if char in "\\'":
            parts.append(f"\\{char}")
        elif char.isprintable():
            parts.append(char)
        else:
            errors = "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass"
            parts += [f"\\x{byte:02x}" for byte in char.encode("utf-8", errors)]
    return f"$'{''.join(parts)}'"


def portable(command_line: str) -> str:
    """A command line of `command` as it reads on another machine: with plain `ppo`."""
    rest = command_line.removeprefix(_program())
    return f"{NAME}{rest}" if rest != command_line else command_line


def first_commands(*words: object) -> list[str]:
    """The commands that train in the current folder; the first writes a config where there is none yet.

    Args:
        words: what follows the config of `ppo train`, such as `"--seeds", 3`.
    """
    train = command("train", example_config(), *words)
    return [train] if Path(example_config()).is_file() else [command("init", "refusal", "my-exp"), train]


def example_config() -> str:
    """A config to name in an example."""
    return str(CHECKOUT_CONFIG if CHECKOUT_CONFIG.is_file() else INIT_CONFIG)


def _program() -> str:
    """The program as it was called: `ppo` from PATH, a path to it, or an interpreter with `-m ppo_cli`.

    In a process that is another program, such as a notebook, it is `ppo`.
    """
    called = Path(sys.argv[0] if sys.argv else "")
    if called.name == "__main__.py" and called.parent.name == "ppo_cli":
        return f"{shlex.quote(sys.orig_argv[0])} -m ppo_cli"
    if called.name not in (NAME, f"{NAME}.exe"):
        return NAME
    on_path = shutil.which(NAME)
    if on_path is not None and called.is_file() and Path(on_path).samefile(called):
        return NAME
    return shlex.quote(sys.argv[0])
