"""The type of what gives a model for the length of a `with` block: loaded already, or the policy with adapters merged.

Never imports torch. Not here: loading (`loading`), the policy's models (`engine.policy`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

OpenModel = Callable[[], AbstractContextManager[Any]]
"""Gives a transformers causal language model inside a `with` block; two of them may share one set of weights."""
