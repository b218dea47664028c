"""The cache folder for fetched and prepared models.

Not here: what is kept there (`builtin`, `engine.warm_start`, `engine.reward_model`).
"""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "PPO_CACHE"
"""Environment variable that overrides the folder."""


def cache_folder() -> Path:
    """The folder for models; created if it is missing.

    $PPO_CACHE if that is set, else ppo-cli in $XDG_CACHE_HOME or ~/.cache.
    """
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        folder = Path(override).expanduser()
    else:
        base = os.environ.get("XDG_CACHE_HOME")
        folder = (Path(base) if base else Path.home() / ".cache") / "ppo-cli"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
