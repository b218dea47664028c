"""The headers of a request to a service: its token, and those that a config names, secrets from the environment.

Not here: sending (`http_service`), what a header may be (`experiment.term_types`).
"""

from __future__ import annotations

import os

from ppo_cli.errors import ConfigError
from ppo_cli.experiment.environment import read_secret
from ppo_cli.experiment.term_types import Http, Judge


def secret_headers(path: str, term: Http | Judge) -> dict[str, str]:
    """The token of a term and its further headers, with the values of the variables that they name.

    Args:
        path: of the term in the config, for messages.
        term: names them.

    Raises:
        ConfigError: a variable is not set, or its value cannot be a header.
    """
    headers = _authorisation(path, term.token_env)
    for index, header in enumerate(term.headers if isinstance(term, Http) else ()):
        at = f"{path}.headers[{index}]"
        name, _, value = header.partition(":")
        headers[name.strip()] = _one_line(read_secret(value.strip(), at), at)
    return headers


def _authorisation(path: str, variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ConfigError(
            f"{path}.token_env: the environment variable {variable} is not set.", f"export {variable}=… before the run."
        )
    return {"Authorization": f"Bearer {_one_line(token, f'{path}.token_env')}"}


def _one_line(value: str, path: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{path}: the value cannot be sent in a header.", "It must be one line of ASCII.")
    return value
