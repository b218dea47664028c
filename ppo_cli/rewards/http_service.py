"""A reward term that a service scores over HTTP: batches, retries with growing waits, a cache, and a pause.

What is sent: the text of prompts and answers, in JSON, and a bearer token if the config names a variable that holds
one. What must come back: every id once, with one finite number. docs/rewards.md has the contract. Redirects are not
followed, because they would send the token to another address.

A service that stays unavailable pauses training, as it was after the last complete update. Scores are cached by
content, so a resumed run requests no score twice and gets the numbers that it had.

Not here: what a term must return (`scorer`), what a pause saves (`training.run_loop`), one exchange in a fixed time
(`http_exchange`), what a judge is asked (`judge`).
"""

from __future__ import annotations

import email.utils
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from ppo_cli.errors import ConfigError, RewardUnavailableError
from ppo_cli.experiment.digest import sha256_of
from ppo_cli.experiment.term_types import Http, Judge
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.rewards.http_exchange import ExchangeTimeoutError, TraceHandler, within
from ppo_cli.rewards.http_headers import secret_headers
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

Case = Mapping[str, Any]
"""What is asked about one answer, as JSON."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What is sent to a service, and how its reply is read."""

    url: str
    batch_size: int
    """Cases per request."""
    body: Callable[[Mapping[str, Case]], Any]
    """What is sent, as JSON, for some cases by id."""
    scores: Callable[[bytes, Sequence[str]], dict[str, float]]
    """The score of each id in a reply; raises RequestError where it does not keep the contract."""


class RequestError(Exception):
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
    contract = Contract(url=term.url, batch_size=term.batch_size, body=_items, scores=_scores_in)
    client = ServiceClient(path, term, contract, context, sleep)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _baseline: BaselineAnswers) -> list[float]:
        pairs = zip(prompts, answers, strict=True)
        return client.scores([{"prompt": prompt.text, "answer": answer.text} for prompt, answer in pairs])

    return Scorer(score, deterministic=False)


class ServiceClient:
    """Requests scores that are not in the cache yet."""

    def __init__(
        self,
        path: str,
        term: Http | Judge,
        contract: Contract,
        context: RewardContext,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connects to nothing yet.

        Args:
            path: of the term in the config, for messages.
            term: says how long to wait, how often to try, and where the token is.
            contract: says where to ask, and what.
            context: holds the cache, and the handler that is called with each failed try.
            sleep: waits some seconds.

        Raises:
            ConfigError: the variable with the token is not set, or the environment names a proxy that cannot be used.
        """
        self.path, self.contract, self.context = path, contract, context
        self.url, self.timeout, self.retries = contract.url, term.timeout, term.retries
        headers = secret_headers(path, term)
        loopback = (urlsplit(self.url).hostname or "") in LOOPBACK
        if headers and self.url.startswith("http:") and not loopback:
            what = f"the token in {term.token_env} is" if term.token_env else "its headers are"
            self._warn(f"{path}: {what} sent unencrypted; use https.")
        self.http = _http_client(path, headers, self.timeout, use_proxies=not loopback)
        self.retrying = Retrying(
            sleep=sleep,
            stop=stop_after_attempt(self.retries + 1),
            wait=_seconds_to_wait,
            retry=retry_if_exception(lambda error: isinstance(error, RequestError) and error.retryable),
            before_sleep=self._report_retry,
            reraise=True,
        )
        self.cached: dict[str, float] = {}
        self.cache_read: Path | None = None

    def scores(self, cases: Sequence[Case]) -> list[float]:
        """A score for each case, in their order.

        Raises:
            RewardUnavailableError: the service fails in every try.
        """
        self._read_cache()
        keys = [sha256_of({"url": self.url, **case}) for case in cases]
        missing = {key: case for key, case in zip(keys, cases, strict=True) if key not in self.cached}
        new = list(missing)
        for first in range(0, len(new), self.contract.batch_size):
            batch = new[first : first + self.contract.batch_size]
            self._add_to_cache(self._request({key: missing[key] for key in batch}))
        return [self.cached[key] for key in keys]

    def _request(self, cases: Mapping[str, Case]) -> dict[str, float]:
        """The scores of a batch, in as many tries as are allowed.

        Raises:
            RewardUnavailableError: the service fails in every try.
        """
        body = json.dumps(self.contract.body(cases), ensure_ascii=False).encode()
        try:
            return self.retrying(lambda: self.contract.scores(self._post(body), list(cases)))
        except RequestError as error:
            count = self.retrying.statistics["attempt_number"]
            tries = f"{count} tries" if count > 1 else "one try"
            raise RewardUnavailableError(
                f"{self.path}: {self._address()} does not score: {error} ({tries}).",
                "Look at the service's log." if error.retryable else "Check its url and token.",
            ) from error

    def _post(self, body: bytes) -> bytes:
        """One request.

        Raises:
            RequestError: it did not end in time with a complete reply of status 2xx.
        """
        try:
            return within(self.timeout, lambda trace: self._exchange(body, trace))
        except ExchangeTimeoutError as error:
            raise RequestError(f"{error} within {self.timeout:g} s") from None
        except httpx2.ConnectTimeout:
            raise RequestError(f"no connection within {self.timeout:g} s") from None
        except httpx2.TimeoutException:
            raise RequestError(f"no complete reply within {self.timeout:g} s") from None
        except httpx2.InvalidURL as error:
            raise RequestError(f"the URL cannot be used: {error}".lower(), retryable=False) from None
        except (httpx2.HTTPError, OSError) as error:
            raise RequestError(_reason(error)) from None

    def _exchange(self, body: bytes, trace: TraceHandler) -> bytes:
        """Sends the request and reads the reply."""
        with self.http.stream("POST", self.url, content=body, extensions={"trace": trace}) as response:
            if not response.is_success:
                raise RequestError(
                    f"status {response.status_code} {response.reason_phrase}".strip(),
                    retryable=response.status_code in RETRIED_STATUS,
                    retry_after=_retry_after(response.headers.get("Retry-After")),
                )
            return _body_of(response)

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


def _body_of(response: httpx2.Response) -> bytes:
    """The body of a reply.

    Raises:
        RequestError: it is too long or incomplete.
    """
    parts, length = [], 0
    try:
        for part in response.iter_raw():
            parts.append(part)
            length += len(part)
            if length > MAX_REPLY_BYTES:
                raise RequestError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
    except (httpx2.RemoteProtocolError, httpx2.ReadError):
        raise RequestError("the reply is incomplete") from None
    return b"".join(parts)


def _http_client(path: str, further: dict[str, str], timeout: float, *, use_proxies: bool) -> httpx2.Client:
    """A client that follows no redirect, keeps no cookie, and opens a connection per request.

    Raises:
        ConfigError: the environment names a proxy that cannot be used.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        return httpx2.Client(
            headers={**headers, **further},
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
    asked = error.retry_after if isinstance(error, RequestError) else None
    growing = wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS)(state)
    return max(growing, min(asked or 0.0, MAX_RETRY_AFTER_SECONDS))


def _reason(error: BaseException) -> str:
    """Why a request failed, in lower case: what the operating system says, if it says something."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return (str(error) or type(error).__name__).rstrip(".").lower()


def json_of(body: bytes) -> Any:  # noqa: ANN401 - whatever a service sends
    """A reply as JSON.

    Raises:
        RequestError: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(f"the reply is not JSON ({len(body)} bytes)") from None


def _items(cases: Mapping[str, Case]) -> dict[str, Any]:
    """What is sent to a reward service."""
    return {"contract": CONTRACT, "items": [{"id": key, **case} for key, case in cases.items()]}


def _scores_in(body: bytes, keys: Sequence[str]) -> dict[str, float]:
    """The scores in a reply, by id.

    Raises:
        RequestError: the reply does not keep the contract.
    """
    reply = json_of(body)
    rows = reply.get("scores") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise RequestError('the reply has no list "scores"')
    scores: dict[str, float] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or "score" not in row:
            raise RequestError('an item of "scores" is not {"id": …, "score": …}')
        value = row["score"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise RequestError(f"a score is {str(value)[:40]!r}, not a finite number")
        if row["id"] in scores:
            raise RequestError("an id is scored twice")
        scores[row["id"]] = float(value)
    missing = len(set(keys) - set(scores))
    if missing:
        raise RequestError(f"{missing} of {len(keys)} answers have no score")
    if len(scores) > len(keys):
        raise RequestError("there are scores of answers that were not sent")
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
