"""What looks like a secret, by its name or by itself, and texts with … in its place.

Not here: where a config refuses one (`experiment.term_types`), where a command line is recorded (`store.provenance`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl

HIDDEN = "…"
SECRET_NAME = re.compile(
    r"(?i)(token(?!s|_|iz)|secret|passw|credential|authorization|bearer|signature"
    r"|(api|access|account|auth|private|subscription|shared|service)[_.-]?key|(^|[^a-z0-9])(key|sig|pwd|auth|pat)$)"
)
"""Names whose value is a secret; not `max_new_tokens`, `token_env` or `keywords`."""
SECRET_VALUE = re.compile(
    r"\b(?:hf_|sk-|gh[opsur]_|github_pat_|glpat-|xox[abprs]-|AKIA|AIza)[\w-]{6,}|(?<=://)[^/@\s]+(?=@)"
)
"""Values that are secrets under any name: access tokens, and the user and password of an address."""
NAMED_VARIABLE = re.compile(r"\$\{oc\.env:\s*\w+\s*\}")
"""A text that names the environment variable that holds a value, and not the value."""
_SURE_NAME = re.compile(r"(?i)((api|access|account|private|subscription)[_.-]?key|secret|passw|credential)(?!.*_env$)")
_ASSIGNMENT = re.compile(r"(?P<name>[\w.-]+)(?P<sign>=)(?P<value>[^\s&#'\"]+)")
_LOOKS_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.~+/=%-]{20,}")


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is most likely a key, a token or a password."""
    return SECRET_NAME.search(name) is not None


def secret_in_query(query: str) -> str | None:
    """The name of the first part of an address's query that holds a secret, by its name or by its value."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return next((name for name, value in pairs if is_secret_name(name) or _is_secret(value)), None)


def looks_secret(name: str, value: object) -> bool:
    """Whether a value of a config is a secret: an access token, or a text of a secret's name that is no plain word.

    Names such as `end_token` are common in rewards, so a name alone does not decide; `api_key` and its like do.
    """
    if not isinstance(value, str) or not value or NAMED_VARIABLE.fullmatch(value):
        return False
    surely_named = _SURE_NAME.search(name) is not None
    return SECRET_VALUE.search(value) is not None or surely_named or (is_secret_name(name) and _is_secret(value))


def masked(text: str) -> str:
    """Text with … for every secret in it: access tokens, `NAME=value` of a secret name, passwords in addresses."""
    text = SECRET_VALUE.sub(HIDDEN, text)
    return _ASSIGNMENT.sub(_masked_assignment, text) if "=" in text else text


def masked_arguments(argv: Sequence[str]) -> list[str]:
    """A command line with … for every value that looks like a secret; of the program its name alone."""
    cleaned = []
    value_follows = False
    for word in argv:
        name, sign, _ = word.partition("=")
        whole = f"{name}={HIDDEN}" if sign and is_secret_name(name) else masked(word)  # the value may have blanks
        cleaned.append(HIDDEN if value_follows else whole)
        names_a_secret = word.startswith("-") and not sign and is_secret_name(word)
        value_follows = not value_follows and names_a_secret
    return [Path(cleaned[0]).name, *cleaned[1:]] if cleaned else []


def _masked_assignment(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"]
    if is_secret_name(name):
        return f"{name}={HIDDEN}"
    before = match.string[: match.start()]
    in_query = "://" in before and before.endswith(("?", "&"))
    if in_query and _is_secret(value):
        return f"{name}={HIDDEN}"
    return f"{name}={_ASSIGNMENT.sub(_masked_assignment, value)}" if "=" in value else match[0]


def _is_secret(value: str) -> bool:
    return SECRET_VALUE.search(value) is not None or _LOOKS_RANDOM.fullmatch(value) is not None
