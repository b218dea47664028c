"""An exported checkpoint: its files, its self-test and where it was pushed.

Not here: writing it (`exports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ppo_cli.records.short_repr import short_repr

Form = Literal["merged", "adapter"]
"""A whole model, or the adapter that PPO trained, for the start model to be loaded with."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is exported, and where it goes besides its folder."""

    adapter: bool = False
    """Write the adapter alone, in PEFT's format, with its base model in `base/` where no hub has it."""
    push: str | None = None
    """ORG/NAME of a repository on the Hugging Face hub; an export that is there already is pushed as it is."""
    public: bool = False
    """Whether that repository may be public."""
    force: bool = False
    """Write over a folder that is not empty; files of other names stay."""

    @property
    def form(self) -> Form:
        return "adapter" if self.adapter else "merged"


WHOLE_MODEL = ExportOptions()
"""The merged model, into an empty folder."""


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """What the self-test of an export compared; it passed, for one that fails leaves no export."""

    prompt_ids: tuple[str, ...]
    """Of the run's evaluation set."""
    tokens: int
    """Tokens of all answers, each the same from the run and from the exported folder."""
    max_new_tokens: int
    temperature: float
    """Of the sampled answers; each prompt has a greedy one too."""
    seed: int


@short_repr("checkpoint", "folder", "form", "pushed_to")
@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """An exported checkpoint."""

    checkpoint: str
    folder: str
    form: Form
    base: str | None
    """Of an adapter: the model that it belongs to, a Hugging Face id or `./base` inside the folder."""
    files: Mapping[str, str]
    """sha256 by name."""
    total_bytes: int
    self_test: SelfTest | None
    """None where the folder held this export already, and its files were only compared with their digests."""
    pushed_to: str | None = None
    """Address of the commit on the hub."""
