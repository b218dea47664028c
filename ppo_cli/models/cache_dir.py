"""Where fetched and prepared models are kept between runs.

Not here: what is kept there.
"""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "PPO_CACHE"
"""Environment variable that overrides the folder."""


def cache_folder() -> Path:
    """The folder for models, made if it is not there."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        folder = Path(chosen).expanduser()
    else:
        base = os.environ.get("XDG_CACHE_HOME")
        folder = (Path(base) if base else Path.home() / ".cache") / "ppo-cli"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
