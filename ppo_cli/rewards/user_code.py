"""Runs a function of the user's so that it can change nothing outside itself.

What it prints goes to stderr, also from a program that it starts, so that `--json` stays one document. Folder, random
numbers, settings of torch and numpy, environment variables, signals and warnings are swapped: the function finds
them as it left them, and the rest of the program finds its own. `sys.exit` is an error like any other.

Not here: loading the function and calling it (`python_function`).
"""

from __future__ import annotations

import atexit
import contextlib
import decimal
import gc
import locale
import os
import random
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ppo_cli.records.process_limits import open_file_limits, set_open_file_limits
from ppo_cli.records.signals import existing_signals

State = dict[str, Any]
"""Values of process-wide settings, by a name of each."""


class ExitError(Exception):
    """User code tried to end the process."""


class UserCode:
    """The process-wide settings of one user's code, kept from one call to the next."""

    def __init__(self) -> None:
        self._own: State = {}
        """What its last call left; a setting that is not in it is as the program has it."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """The settings within the block are the user's, and afterwards the program's again.

        A copy of the process that the code made by `os.fork` ends with the block: it would train a second time.

        Raises:
            ExitError: the code in the block tried to end the process.
        """
        programs, process = _state(), os.getpid()
        _restore(self._own)
        try:
            with _prints_to_stderr(), _exit_functions_print_to_stderr(), warnings.catch_warnings():
                try:
                    yield
                finally:
                    if os.getpid() != process:
                        os._exit(0)
        except (KeyboardInterrupt, Exception):
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit, and whatever else would pass every handler
            words = f"{type(error).__name__}({error})" if str(error) else type(error).__name__
            raise ExitError(f"it tried to end the program with {words}") from None
        finally:
            self._own = _state()
            _restore({**_defaults_of_new_libraries(programs), **programs})


@contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """Sends stdout to stderr, the stream of Python and the descriptor that other programs inherit."""
    if sys.stdout is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
    saved = None
    with contextlib.suppress(OSError):  # a process may have been started without one of them
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with _unclosable(sys.stderr) as stream, contextlib.redirect_stdout(stream):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


@contextmanager
def _unclosable(stream: Any) -> Iterator[Any]:  # noqa: ANN401 - a text stream, or what stands for one
    """The stream for stdout and stderr of the block, which stays open when the block closes it."""
    kept = None if stream is None else _OpenStream(stream)
    with contextlib.redirect_stderr(kept):
        yield kept


class _OpenStream:
    """A text stream that cannot be closed."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def close(self) -> None:
        self._stream.flush()


@contextmanager
def _exit_functions_print_to_stderr() -> Iterator[None]:
    """What the block registers to run when the process ends prints to stderr too."""
    register = atexit.register

    def register_quietly(function: Callable[..., Any], *words: Any, **named: Any) -> Callable[..., Any]:  # noqa: ANN401
        def run() -> None:
            with _prints_to_stderr():
                function(*words, **named)

        register(run)
        return function

    atexit.register = register_quietly  # type: ignore[assignment]
    try:
        yield
    finally:
        atexit.register = register


def _state() -> State:
    """The settings of the process as they are."""
    return {name: read() for name, (read, _) in _settings().items()}


def _restore(state: State) -> None:
    """Gives every setting in a state its value there."""
    for name, (read, write) in _settings().items():
        if name in state and (name in _NO_COMPARISON or read() != state[name]):
            with contextlib.suppress(locale.Error):  # of a language that is not installed any more
                write(state[name])


_NO_COMPARISON = frozenset({"numpy.random", "torch.random", "torch.cuda.random", "decimal"})
"""Settings whose values cannot be compared."""


def _settings() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """How each setting is read and written; those of libraries that are not loaded are left out."""
    settings: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
        "folder": (_folder, _set_folder),
        "random": (random.getstate, random.setstate),
        "environment": (lambda: dict(os.environ), _set_environment),
        "path": (lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
        "arguments": (lambda: list(sys.argv), lambda words: sys.argv.__setitem__(slice(None), words)),
        "recursion": (sys.getrecursionlimit, sys.setrecursionlimit),
        "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
        "umask": (_umask, os.umask),
        "open files": (open_file_limits, set_open_file_limits),
        "garbage collection": (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
        "decimal": (lambda: decimal.getcontext().copy(), decimal.setcontext),
        "socket timeout": (socket.getdefaulttimeout, socket.setdefaulttimeout),
        "error hook": (lambda: sys.excepthook, lambda hook: setattr(sys, "excepthook", hook)),
    }
    if threading.current_thread() is threading.main_thread():
        for number in existing_signals("SIGINT", "SIGTERM", "SIGHUP"):
            if signal.getsignal(number) is not None:  # None: not set from Python, so it could not be set again
                settings[f"signal {number}"] = (_reader(number), _writer(number))
    if (numpy := sys.modules.get("numpy")) is not None and hasattr(numpy, "random"):
        settings["numpy.random"] = (numpy.random.get_state, numpy.random.set_state)
        settings["numpy.errors"] = (numpy.geterr, lambda state: numpy.seterr(**state))
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        settings["torch.random"] = (torch.get_rng_state, torch.set_rng_state)
        settings["torch.grad"] = (torch.is_grad_enabled, torch._C._set_grad_enabled)  # noqa: SLF001
        settings["torch.dtype"] = (torch.get_default_dtype, torch.set_default_dtype)
        settings["torch.device"] = (
            lambda: str(torch.get_default_device()),
            lambda device: torch.set_default_device(None if device == "cpu" else device),
        )
        settings["torch.threads"] = (torch.get_num_threads, torch.set_num_threads)
        settings["torch.deterministic"] = (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        )
        settings["torch.precision"] = (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
        if torch.cuda.is_initialized():
            settings["torch.cuda.random"] = (torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
            settings["torch.cuda.device"] = (torch.cuda.current_device, torch.cuda.set_device)
    return settings


def _defaults_of_new_libraries(programs: State) -> State:
    """The settings of torch that a program has whose user code imported torch first."""
    torch = sys.modules.get("torch")
    if torch is None or "torch.grad" in programs or not hasattr(torch, "float32"):
        return {}
    return {"torch.grad": True, "torch.dtype": torch.float32, "torch.device": "cpu", "torch.deterministic": False}


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _folder() -> str | None:
    try:
        return str(os.getcwd())  # noqa: PTH109 - Path.cwd() raises the same error
    except FileNotFoundError:
        return None


def _set_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _set_environment(wanted: dict[str, str]) -> None:
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def _reader(number: int) -> Callable[[], Any]:
    return lambda: signal.getsignal(number)


def _writer(number: int) -> Callable[[Any], object]:
    return lambda handler: signal.signal(number, handler)
