"""The errors that a user can cause or has to know about, and the exit code of each.

    PpoError                          1   an error that this program can name
    ├── DiskFullError                 1   no space is left
    ├── MemoryFullError               1   no memory is left, of the GPU or of the machine
    ├── PeerLostError                 1   another process of the same training has ended
    ├── UsageError                    2   a wrong argument, path or config
    │   ├── ConfigError               2   a key or value in the YAML file or in an override
    │   ├── NoPermissionError         2   a path that may not be written
    │   ├── PromptError               2   a prompt file that cannot be used
    │   └── ModelError                2   a model that cannot be found, downloaded or used
    │       ├── ModelUnreachableError 2   it is not on this machine, and its source does not answer
    │       └── NoChatTemplateError   5   it has no chat template, so it is not instruction-tuned
    ├── NotComparableError            3   two runs that may not be compared, or a confounded comparison
    ├── IntegrityError                4   a frozen file was changed, or a record is damaged
    ├── CheckFailedError              5   the model, the reward or a training step failed a check
    │   └── RewardUnavailableError    5   a service that the reward needs does not answer; the run can be resumed
    ├── FailConditionError          100   a comparison ran, and a --fail-if condition was met
    └── InterruptedRunError         130   stopped by the user; the run can be resumed

A message is one sentence that says what is wrong; `next_step` is one that says what to do.

Not here: printing an error and leaving with its exit code (`cli.output`).
"""

from __future__ import annotations

import errno


def reason_of(error: OSError) -> str:
    """The operating system's reason for a failed access, without number and path, for use inside a sentence."""
    return (error.strerror or str(error)).lower()


class PpoError(Exception):
    """An error with a sentence for the user, a next step and an exit code.

    Attributes:
        message: one sentence that says what is wrong.
        next_step: one sentence that says what to do; empty where nothing can be done.
        exit_code: of the command that ends with this error.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class DiskFullError(PpoError):
    """No space is left for something that had to be written."""


class MemoryFullError(PpoError):
    """No memory is left, of the GPU or of the machine."""


class PeerLostError(PpoError):
    """Another process of the same training has ended; what was written is complete and can be resumed."""


class UsageError(PpoError):
    """A wrong argument, path or config."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or a value in the YAML file or in an override."""


class NoPermissionError(UsageError):
    """A path that may not be written."""


class PromptError(UsageError):
    """A prompt file that cannot be used."""


class ModelError(UsageError):
    """A model that cannot be found, downloaded or used."""


class ModelUnreachableError(ModelError):
    """A model that is not on this machine, while its source does not answer."""


class NoChatTemplateError(ModelError):
    """A model without a chat template: the first check that a base model fails."""

    exit_code = 5


class NotComparableError(PpoError):
    """Two runs that may not be compared, or whose difference has more than one cause."""

    exit_code = 3


class IntegrityError(PpoError):
    """A frozen file was changed after freezing, or a record is damaged."""

    exit_code = 4


class CheckFailedError(PpoError):
    """The model, the reward or a training step failed a check, so that training would be wrong."""

    exit_code = 5


class RewardUnavailableError(CheckFailedError):
    """A service that the reward needs does not answer; what was written is complete and can be resumed."""


class FailConditionError(PpoError):
    """A comparison ran and a condition of the user was met; kept apart from every way in which the tool fails."""

    exit_code = 100


class InterruptedRunError(PpoError):
    """Stopped by the user; what was written is complete and can be resumed."""

    exit_code = 130


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a library says that the memory of the GPU or of the machine is full."""
    if isinstance(error, MemoryError) or _is_of_torch(error):
        return True
    return isinstance(error, RuntimeError | OSError) and any(part in str(error).lower() for part in _NO_MEMORY_WORDS)


def whose_memory(error: BaseException) -> str:
    """GPU or machine, for a sentence about a full memory."""
    return "GPU" if "cuda" in str(error).lower() or _is_of_torch(error) else "machine"


def _is_of_torch(error: BaseException) -> bool:
    """Whether it is torch's own error of a full GPU, which is known by its name, without importing torch."""
    return "OutOfMemoryError" in {cls.__name__ for cls in type(error).__mro__}


def _is_of_peer(error: BaseException) -> bool:
    """Whether torch says in the middle of an exchange that another process is gone."""
    return bool(_PEER_ERRORS & {cls.__name__ for cls in type(error).__mro__}) or "gloo/transport" in str(error)


_NO_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
_NEXT_STEP_BY_ERRNO = {
    errno.ENOSPC: "Free some space, then run the command again.",
    errno.EDQUOT: "Free some space, then run the command again.",
    errno.EMFILE: "Raise the limit with `ulimit -n 4096`, then run the command again.",
    errno.EFBIG: "Raise the limit with `ulimit -f unlimited`, then run the command again.",
}


_PEER_ERRORS = {"DistBackendError", "DistNetworkError"}
"""What torch raises in the middle of an exchange, besides gloo's plain RuntimeError."""


def as_ppo_error(error: BaseException) -> PpoError | None:
    """An error of a library as one that a user understands; None for one that is most likely a bug of this program.

    Known are a full memory, another process that has ended, and what the operating system refuses.
    """
    if isinstance(error, PpoError):
        return error
    if is_out_of_memory(error):
        return MemoryFullError(
            f"The memory of the {whose_memory(error)} is full.",
            "Lower rollout.max_new_tokens or evaluation.max_new_tokens, hold the model in model.load_in=4bit or take a "
            "smaller one, or end other programs that use the memory; then run the command again.",
        )
    if _is_of_peer(error):
        return PeerLostError(
            "Another process of this training has ended.", "See its own message; then continue the run with --resume."
        )
    if isinstance(error, OSError) and error.errno is not None:
        what = f"{error.filename} cannot be used" if error.filename else "The operating system refused a step"
        hint = "Check the path, its permissions and the disk, then run the command again."
        return PpoError(f"{what}: {reason_of(error)}.", _NEXT_STEP_BY_ERRNO.get(error.errno, hint))
    return None
