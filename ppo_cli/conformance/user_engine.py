"""Loads the adapter that a user names: MODULE:FACTORY or FILE.py:FACTORY, by the rules of Python reward functions.

Not here: calling the trainer (`trainings`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ppo_cli.conformance.adapter import ABILITIES, Engine
from ppo_cli.errors import ConfigError
from ppo_cli.rewards.python_function import imported_module
from ppo_cli.rewards.user_code import UserCode

PAGE = "docs/verify-engine.md"


def load_engine(name: str) -> Engine:
    """The adapter that a factory returns.

    Raises:
        ConfigError: there is no such factory, it fails, or what it returns is no adapter.
    """
    place, _, factory = name.rpartition(":")
    if not place or not factory:
        raise ConfigError(f"{name} names no factory.", "Write MODULE:FACTORY or FILE.py:FACTORY.")
    if place.endswith(".py") and not Path(place).is_file():
        raise ConfigError(f"There is no file {place}.", "Check the path before the colon.")
    user_code = UserCode()
    with _errors_of(place), user_code.running():
        make = getattr(imported_module(place, Path(place)), factory, None)
    if not callable(make):
        raise ConfigError(f"{place} has no function '{factory}'.", "Check the name after the colon.")
    with _errors_of(name), user_code.running():
        engine = make()
    missing = [part for part in ("name", "version", "abilities", "training") if not hasattr(engine, part)]
    if missing:
        raise ConfigError(f"What {name} returns has no {', '.join(missing)}.", f"Read {PAGE}.")
    unknown = sorted(set(engine.abilities) - ABILITIES)
    if unknown:
        raise ConfigError(
            f"{name} declares an unknown ability: {', '.join(unknown)}.", f"Known are {', '.join(sorted(ABILITIES))}."
        )
    own: Engine = engine
    return own


@contextmanager
def _errors_of(what: str) -> Iterator[None]:
    """Turns whatever the user's code raises into one sentence.

    Raises:
        ConfigError: the code in the block raised an error.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{what} fails: {type(error).__name__}: {reason}.", f"Fix it; {PAGE} has an example."
        ) from error
