"""The Hugging Face hub: its address or a mirror's, offline mode, token, cache, and whether it answers.

Values of tokens, user names and passwords in addresses are never part of a line.

Not here: fetching a model (`models.model_source`).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

from ppo_cli.preflight.doctor.private_paths import shown
from ppo_cli.records.doctor import DoctorCheck

HUB = "https://huggingface.co"
MAX_SECONDS = 4.0
"""For the hub's answer, the search for its name included."""
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
TRUE = ("1", "ON", "YES", "TRUE")
"""What huggingface_hub takes for yes."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
WITHOUT_HUB = "The built-in model, model folders and prompt files need no hub; docs/offline.md has the rest."


def hub(*, ask: bool = True) -> list[DoctorCheck]:
    """Whether models and datasets of the hub can be fetched. Nothing that fails here stops a training.

    Args:
        ask: whether the hub is asked; in offline mode it never is.
    """
    return [_reachability(ask), _token(), DoctorCheck(name="hub cache", status="ok", saw=_cache())]


def offline_variable() -> str | None:
    """The variable that forbids every request to the hub, if one is set."""
    return next((name for name in OFFLINE_VARIABLES if os.environ.get(name, "").upper() in TRUE), None)


def _reachability(ask: bool) -> DoctorCheck:
    named = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    address = named or HUB
    try:
        parts = urlsplit(address)
        host = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        step = "Write it as https://HOST, or unset HF_ENDPOINT."
        return DoctorCheck(name="hub", status="warn", saw="HF_ENDPOINT is no address.", next_step=step)
    which = f"{host}, a mirror (HF_ENDPOINT)" if named and host != HUB else host
    if (variable := offline_variable()) is not None:
        return DoctorCheck(
            name="hub",
            status="ok",
            saw=f"offline mode ({variable}); {which} is not asked",
            next_step=f"{WITHOUT_HUB} To fetch a model, unset {variable}.",
        )
    if not ask:
        return DoctorCheck(name="hub", status="ok", saw=f"{which}; not asked")
    reason = _why_unreachable(address)
    if reason is None:
        return DoctorCheck(name="hub", status="ok", saw=f"{which} answers")
    proxy = next((name for name in PROXIES if os.environ.get(name)), None)
    through = f" through the proxy of {proxy}" if proxy else ""
    step = "Unset HF_ENDPOINT, or name another mirror." if named else "Set HF_ENDPOINT to a mirror that you reach."
    return DoctorCheck(
        name="hub",
        status="warn",
        saw=f"{which} does not answer{through}: {reason}",
        next_step=f"{step} {WITHOUT_HUB}",
    )


def _why_unreachable(address: str) -> str | None:
    """Why the hub does not answer within the limit; None if it does, with whatever answer below 500."""
    reasons: list[str | None] = []

    def ask() -> None:
        import httpx2

        try:
            status = httpx2.head(address, timeout=MAX_SECONDS, follow_redirects=False).status_code
            reasons.append(None if status < 500 else f"status {status}")
        except Exception as error:  # noqa: BLE001 - a wrong proxy, certificate or name each raise another error
            reasons.append(type(error).__name__)  # its text may hold the address with a password

    thread = threading.Thread(target=ask, name="hub", daemon=True)  # a name server that hangs has no limit
    thread.start()
    thread.join(MAX_SECONDS)
    return reasons[0] if reasons else f"nothing within {MAX_SECONDS:g} s"


def _token() -> DoctorCheck:
    """Whether there is a token, and never which."""
    if os.environ.get("HF_TOKEN"):
        saw = "set (HF_TOKEN)"
    elif (_home() / "token").is_file():
        saw = "set (by `hf auth login`)"
    else:
        step = "Only models behind terms need one: `hf auth login`, or HF_TOKEN."
        return DoctorCheck(name="hub token", status="ok", saw="not set", next_step=step)
    return DoctorCheck(name="hub token", status="ok", saw=saw)


def _cache() -> str:
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        if os.environ.get(name):
            return f"{shown(Path(os.environ[name]))} ({name})"
    return shown(_home())


def _home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or Path(base) / "huggingface").expanduser()
