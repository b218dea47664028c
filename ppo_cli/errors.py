"""The mistakes a user can be told about, and the exit code of each.

    PpoError                 1   something went wrong that we can name
    ├── DiskFull             1   no space is left
    ├── Abandoned            1   another process of the same training has ended
    ├── UsageError           2   a wrong argument, path or config
    │   ├── ConfigError      2   a key or value in the YAML or in an override
    │   ├── NoPermission     2   a place that may not be written
    │   ├── PromptError      2   a prompt file that cannot be used
    │   └── ModelError       2   a model that cannot be found, fetched or used
    │       ├── Unreachable  2   it is not on this machine, and where it comes from does not answer
    │       └── NotTuned     5   it has no chat template, so it was not tuned to answer
    ├── NotComparable        3   two runs that may not be compared, or a confounded comparison
    ├── IntegrityError       4   something frozen was changed, or a record is damaged
    ├── GateError            5   the model or the reward failed its gate
    │   └── Paused           5   what the reward asks does not answer; the run can be resumed
    ├── ConditionMet       100   a comparison ran, and a --fail-if was met
    └── Interrupted        130   stopped by the user; the run can be resumed

A message is one sentence that says what is wrong; `next_step` is one that says what to do.
"""

from __future__ import annotations


def reason_of(error: OSError) -> str:
    """What the system says of a failed access, without number and path, to stand within a sentence."""
    return (error.strerror or str(error)).lower()


class PpoError(Exception):
    """An error with a sentence for the user, a next step and an exit code."""

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class DiskFullError(PpoError):
    """No space is left for something that had to be written."""


class PeerLostError(PpoError):
    """Another process of the same training has ended; what was written is whole and can be resumed."""


class UsageError(PpoError):
    """A wrong argument, path or config."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or a value in the YAML file or in an override."""


class NoPermissionError(UsageError):
    """A place that may not be written."""


class PromptError(UsageError):
    """A prompt file that cannot be used."""


class ModelError(UsageError):
    """A model that cannot be found, fetched or used."""


class ModelUnreachableError(ModelError):
    """A model that is not on this machine, while the place it comes from does not answer."""


class NoChatTemplateError(ModelError):
    """A model without a chat template: the first line of the gate that a base model fails."""

    exit_code = 5


class NotComparableError(PpoError):
    """Two runs that may not be compared, or whose difference has more than one cause."""

    exit_code = 3


class IntegrityError(PpoError):
    """Something frozen was changed after freezing, or a record is damaged."""

    exit_code = 4


class GateError(PpoError):
    """The model or the reward failed its gate."""

    exit_code = 5


class FailConditionMet(PpoError):
    """A comparison ran and a condition of the user's was met; kept apart from every way in which the tool fails."""

    exit_code = 100


class RewardUnavailableError(GateError):
    """What the reward asks does not answer; what was written is whole and can be resumed."""


class InterruptedRunError(PpoError):
    """Stopped by the user; what was written is whole and can be resumed."""

    exit_code = 130
