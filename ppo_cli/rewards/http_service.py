"""A reward term that a service scores over HTTP: batches, retries with growing waits, a cache, and a pause.

What is sent: the text of prompts and answers, in JSON, and a bearer token if the config names a variable that holds
one. What must come back: every id once, with one finite number. docs/rewards.md has the contract. Redirects are not
followed, because they would send the token to another address.

A service that stays unavailable pauses training, as it was after the last complete update. Scores are cached by
content, so a resumed run requests no score twice and gets the numbers that it had.

Not here: what a term must return (`scorer`), what a pause saves (`training.run_loop`).
"""

from __future__ import annotations

import email.utils
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ppo_cli.errors import ConfigError, RewardUnavailableError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.term_types import Http
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.rewards.scorer import BaselineAnswers, RewardContext, Scorer
from ppo_cli.store.files import append_lines, read_lines, truncate_lines

CONTRACT = "ppo-reward/1"
"""Sent with every request; a service may refuse a version that it does not know."""
FIRST_WAIT_SECONDS = 0.5
"""Wait before the second try; each further wait is twice the one before."""
MAX_WAIT_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = 300.0
"""Longest wait that a service may ask for with Retry-After."""
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that do not mean that the request itself is wrong."""
MAX_REPLY_BYTES = 1 << 24
"""Longest reply that is read."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")

logging.getLogger("httpx2").setLevel(logging.WARNING)  # its INFO lines contain the query of the URL

PromptAndAnswer = tuple[str, str]


class _RequestError(Exception):
    """One request failed."""

    def __init__(self, message: str, *, retryable: bool = True, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable, self.retry_after = retryable, retry_after


def http_service(path: str, term: Http, context: RewardContext, sleep: Callable[[float], None] = time.sleep) -> Scorer:
    """A service as a term.

    Args:
        path: of the term in the config, for messages.
        term: the term itself.
        context: holds the cache, and the handler that is called with each failed try.
        sleep: waits some seconds.

    Raises:
        ConfigError: the variable with the token is not set, or the environment names a proxy that cannot be used.
    """
    client = _Client(path, term, context, sleep)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        return client.scores([(prompt.text, answer.text) for prompt, answer in zip(prompts, answers, strict=True)])

    return Scorer(score, deterministic=False)


class _Client:
    """Requests scores that are not in the cache yet."""

    def __init__(self, path: str, term: Http, context: RewardContext, sleep: Callable[[float], None]) -> None:
        self.path, self.context = path, context
        self.url, self.timeout, self.retries, self.batch_size = term.url, term.timeout, term.retries, term.batch_size
        authorisation = _authorisation(path, term.token_env)
        loopback = (urlsplit(self.url).hostname or "") in LOOPBACK
        if authorisation and self.url.startswith("http:") and not loopback:
            self._warn(f"{path}: the token in {term.token_env} is sent unencrypted; use https.")
        self.http = _http_client(path, authorisation, self.timeout, use_proxies=not loopback)
        self.retrying = Retrying(
            sleep=sleep,
            stop=stop_after_attempt(self.retries + 1),
            wait=_seconds_to_wait,
            retry=retry_if_exception(lambda error: isinstance(error, _RequestError) and error.retryable),
            before_sleep=self._report_retry,
            reraise=True,
        )
        self.cached: dict[str, float] = {}
        self.cache_read: Path | None = None

    def scores(self, cases: Sequence[PromptAndAnswer]) -> list[float]:
        """A score for each case, in their order.

        Raises:
            RewardUnavailableError: the service fails in every try.
        """
        self._read_cache()
        keys = [sha256_of({"url": self.url, "prompt": prompt, "answer": answer}) for prompt, answer in cases]
        missing = {key: case for key, case in zip(keys, cases, strict=True) if key not in self.cached}
        new = list(missing)
        for first in range(0, len(new), self.batch_size):
            batch = new[first : first + self.batch_size]
            self._add_to_cache(self._request({key: missing[key] for key in batch}))
        return [self.cached[key] for key in keys]

    def _request(self, cases: Mapping[str, PromptAndAnswer]) -> dict[str, float]:
        """The scores of a batch, in as many tries as are allowed.

        Raises:
            RewardUnavailableError: the service fails in every try.
        """
        body = json.dumps(
            {
                "contract": CONTRACT,
                "items": [{"id": key, "prompt": prompt, "answer": answer} for key, (prompt, answer) in cases.items()],
            },
            ensure_ascii=False,
        ).encode()
        try:
            return self.retrying(lambda: _scores_in(self._post(body), list(cases)))
        except _RequestError as error:
            count = self.retrying.statistics["attempt_number"]
            tries = f"{count} tries" if count > 1 else "one try"
            raise RewardUnavailableError(
                f"{self.path}: {self._address()} does not score: {error} ({tries}).",
                "Look at the service's log." if error.retryable else "Check its url and token.",
            ) from error

    def _post(self, body: bytes) -> bytes:
        """One request.

        Raises:
            _RequestError: it did not end in time with a complete reply of status 2xx.
        """
        deadline = time.monotonic() + self.timeout
        try:
            with self.http.stream("POST", self.url, content=body) as response:
                if not response.is_success:
                    raise _RequestError(
                        f"status {response.status_code} {response.reason_phrase}".strip(),
                        retryable=response.status_code in RETRIED_STATUS,
                        retry_after=_retry_after(response.headers.get("Retry-After")),
                    )
                return self._read(response, deadline)
        except httpx2.ConnectTimeout:
            raise _RequestError(f"no connection within {self.timeout:g} s") from None
        except httpx2.TimeoutException:
            raise _RequestError(f"no complete reply within {self.timeout:g} s") from None
        except httpx2.InvalidURL as error:
            raise _RequestError(f"the URL cannot be used: {error}".lower(), retryable=False) from None
        except (httpx2.HTTPError, OSError) as error:
            raise _RequestError(_reason(error)) from None

    def _read(self, response: httpx2.Response, deadline: float) -> bytes:
        """The body; a slow service sends it in small parts.

        Raises:
            _RequestError: it is too long, too late or incomplete.
        """
        parts, length = [], 0
        try:
            for part in response.iter_raw():
                parts.append(part)
                length += len(part)
                if length > MAX_REPLY_BYTES:
                    raise _RequestError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise _RequestError(f"no complete reply within {self.timeout:g} s")
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            raise _RequestError("the reply is incomplete") from None
        return b"".join(parts)

    def _read_cache(self) -> None:
        """Reads what an earlier process wrote, once."""
        file = self.context.cache
        if file is None or file == self.cache_read:
            return
        self.cache_read = file
        if not file.is_file():
            if self.cached:
                append_lines(file, [{"key": key, "score": score} for key, score in self.cached.items()])
            return
        rows = read_lines(file)
        truncate_lines(file, len(rows))  # removes a last line that a crash cut off
        self.cached |= {str(row["key"]): float(row["score"]) for row in rows}

    def _add_to_cache(self, scores: Mapping[str, float]) -> None:
        self.cached |= scores
        if self.context.cache is not None:
            append_lines(self.context.cache, [{"key": key, "score": score} for key, score in scores.items()])

    def _address(self) -> str:
        """The URL without its query, which may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    def _report_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        seconds = state.next_action.sleep if state.next_action else 0.0
        self._warn(f"{self.path}: {error}; try {state.attempt_number + 1} of {self.retries + 1} in {seconds:g} s.")

    def _warn(self, text: str) -> None:
        on_event: EventHandler = self.context.on_event
        on_event(Notice(text=text, level="warning"))


def _http_client(path: str, authorisation: dict[str, str], timeout: float, *, use_proxies: bool) -> httpx2.Client:
    """A client that follows no redirect, keeps no cookie, and opens a connection per request.

    Raises:
        ConfigError: the environment names a proxy that cannot be used.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        return httpx2.Client(
            headers={**headers, **authorisation},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=timeout,
            follow_redirects=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
            trust_env=use_proxies,
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise ConfigError(
            f"{path}: the environment names a proxy that cannot be used: {error}".rstrip(".") + ".",
            "Correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or unset them.",
        ) from None


def _seconds_to_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _RequestError) else None
    growing = wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS)(state)
    return max(growing, min(asked or 0.0, MAX_RETRY_AFTER_SECONDS))


def _authorisation(path: str, variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ConfigError(
            f"{path}.token_env: the environment variable {variable} is not set.", f"export {variable}=… before the run."
        )
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(f"{path}.token_env: the value of {variable} is not a token.", "It must be one line of ASCII.")
    return {"Authorization": f"Bearer {token}"}


def _reason(error: BaseException) -> str:
    """Why a request failed, in lower case: what the operating system says, if it says something."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return (str(error) or type(error).__name__).rstrip(".").lower()


def _scores_in(body: bytes, keys: Sequence[str]) -> dict[str, float]:
    """The scores in a reply, by id.

    Raises:
        _RequestError: the reply does not keep the contract.
    """
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        raise _RequestError(f"the reply is not JSON ({len(body)} bytes)") from None
    rows = reply.get("scores") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise _RequestError('the reply has no list "scores"')
    scores: dict[str, float] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or "score" not in row:
            raise _RequestError('an item of "scores" is not {"id": …, "score": …}')
        value = row["score"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise _RequestError(f"a score is {str(value)[:40]!r}, not a finite number")
        if row["id"] in scores:
            raise _RequestError("an id is scored twice")
        scores[row["id"]] = float(value)
    missing = len(set(keys) - set(scores))
    if missing:
        raise _RequestError(f"{missing} of {len(keys)} answers have no score")
    if len(scores) > len(keys):
        raise _RequestError("there are scores of answers that were not sent")
    return {key: scores[key] for key in keys}


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _retry_after(header: str | None) -> float | None:
    """The header Retry-After, in seconds from now; it is a number or a date."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
