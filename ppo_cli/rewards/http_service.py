"""A term that a service scores, over http: batches, retries with longer and longer waits, a cache, and a breaker.

What is sent: the text of prompts and answers, in JSON, and a bearer token if the config names a variable that holds
one. What must come back: every id once, with one finite number. docs/rewards.md has the contract. Redirects are not
followed, for they would carry the token elsewhere.

A service that keeps failing does not cost the run: the breaker opens, which pauses training as it was after the last
whole update. Scores are kept by content, so a resumed run asks for none twice, and gets the numbers that it had.

Not here: what a term must give (`contract`), what a pause saves (`commands.train`).
"""

from __future__ import annotations

import email.utils
import http.client
import json
import math
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
"""Seconds before the first further try; each wait is twice the one before."""
MAX_WAIT_SECONDS = 60.0
MAX_ASKED_WAIT_SECONDS = 300.0
"""Seconds that a service may ask for with Retry-After."""
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that say nothing against the request itself."""
MAX_BYTES = 1 << 24
"""Longest reply that is read."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")

Case = tuple[str, str]
"""A prompt and an answer."""


class _Fault(Exception):
    """One request failed."""

    def __init__(self, what: str, *, may_pass: bool = True, wait: float | None = None) -> None:
        super().__init__(what)
        self.may_pass, self.wait = may_pass, wait


def http_service(
    path: str, term: Http, surroundings: RewardContext, sleep: Callable[[float], None] = time.sleep
) -> Scorer:
    """A service as a term.

    Args:
        path: of the term in the config, for messages.
        term: the term itself.
        surroundings: holds the cache and is told of tries that failed.
        sleep: waits some seconds.

    Raises:
        ConfigError: the variable with the token is not set.
    """
    client = _Client(path, term, surroundings, sleep)

    def score(prompts: Sequence[Prompt], answers: Sequence[Answer], _others: BaselineAnswers) -> list[float]:
        return client.scores([(prompt.text, answer.text) for prompt, answer in zip(prompts, answers, strict=True)])

    return Scorer(score, deterministic=False)


class _Client:
    """Asks the service for what is not known yet."""

    def __init__(self, path: str, term: Http, surroundings: RewardContext, sleep: Callable[[float], None]) -> None:
        self.path, self.surroundings, self.sleep = path, surroundings, sleep
        self.url, self.timeout, self.retries, self.batch_size = term.url, term.timeout, term.retries, term.batch_size
        self.headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self.headers |= _authorisation(path, term.token_env)
        host = urlsplit(self.url).hostname or ""
        if "Authorization" in self.headers and self.url.startswith("http:") and host not in LOOPBACK:
            self._say(f"{path}: the token in {term.token_env} travels unencrypted; use https.")
        proxies: dict[str, str] | None = {} if host in LOOPBACK else None
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirects())
        self.known: dict[str, float] = {}
        self.read_from: Path | None = None

    def scores(self, cases: Sequence[Case]) -> list[float]:
        """A score for each case, in their order."""
        self._read_cache()
        keys = [sha256_of({"url": self.url, "prompt": prompt, "answer": answer}) for prompt, answer in cases]
        wanted = {key: case for key, case in zip(keys, cases, strict=True) if key not in self.known}
        new = list(wanted)
        for first in range(0, len(new), self.batch_size):
            batch = new[first : first + self.batch_size]
            self._keep(self._asked({key: wanted[key] for key in batch}))
        return [self.known[key] for key in keys]

    def _asked(self, cases: Mapping[str, Case]) -> dict[str, float]:
        """What the service says of a batch, in as many tries as it may take.

        Raises:
            Paused: it failed every time.
        """
        body = json.dumps(
            {
                "contract": CONTRACT,
                "items": [{"id": key, "prompt": prompt, "answer": answer} for key, (prompt, answer) in cases.items()],
            },
            ensure_ascii=False,
        ).encode()
        tried = 0
        while True:
            try:
                return _scores_in(self._post(body), list(cases))
            except _Fault as fault:
                tried += 1
                if not fault.may_pass or tried > self.retries:
                    tries = f"{tried} tries" if tried > 1 else "one try"
                    raise RewardUnavailableError(
                        f"{self.path}: {self._place()} does not score: {fault} ({tries}).",
                        "See what the service says." if fault.may_pass else "Check its url and token.",
                    ) from fault
                wait = min(FIRST_WAIT_SECONDS * 2.0 ** (tried - 1), MAX_WAIT_SECONDS)
                wait = max(wait, min(fault.wait or 0.0, MAX_ASKED_WAIT_SECONDS))
                self._say(f"{self.path}: {fault}; try {tried + 1} of {self.retries + 1} in {wait:g} s.")
                self.sleep(wait)

    def _post(self, body: bytes) -> bytes:
        """One request.

        Raises:
            _Fault: it did not end with a whole reply of status 200 in time.
        """
        request = urllib.request.Request(self.url, body, self.headers, method="POST")  # noqa: S310 - checked: http(s)
        ends = time.monotonic() + self.timeout
        try:
            with self.opener.open(request, timeout=self.timeout) as reply:
                return _whole(reply, ends)
        except urllib.error.HTTPError as error:
            with error:
                wait = _seconds_asked(error.headers.get("Retry-After"))
                said = f"status {error.code} {error.reason}".strip()
            raise _Fault(said, may_pass=error.code in RETRIED_STATUS, wait=wait) from None
        except TimeoutError:
            raise _Fault(f"no whole reply within {self.timeout:g} s") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise _Fault(f"no connection within {self.timeout:g} s") from None
            reason = getattr(error.reason, "strerror", None) or str(error.reason)
            raise _Fault(str(reason).lower()) from None
        except http.client.IncompleteRead:
            raise _Fault("the reply breaks off") from None
        except (http.client.HTTPException, OSError) as error:
            raise _Fault(f"{type(error).__name__}: {error}".rstrip(": ").lower()) from None

    def _read_cache(self) -> None:
        """Takes in what an earlier process kept, once."""
        file = self.surroundings.cache
        if file is None or file == self.read_from:
            return
        self.read_from = file
        if not file.is_file():
            if self.known:
                append_lines(file, [{"key": key, "score": score} for key, score in self.known.items()])
            return
        rows = read_lines(file)
        truncate_lines(file, len(rows))  # takes off a last line that a crash cut off
        self.known |= {str(row["key"]): float(row["score"]) for row in rows}

    def _keep(self, scores: Mapping[str, float]) -> None:
        self.known |= scores
        if self.surroundings.cache is not None:
            append_lines(self.surroundings.cache, [{"key": key, "score": score} for key, score in scores.items()])

    def _place(self) -> str:
        """The address without what may be secret in its query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    def _say(self, text: str) -> None:
        on_event: EventHandler = self.surroundings.on_event
        on_event(Notice(text=text, level="warning"))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Lets a redirect be the error status that it came with."""

    def redirect_request(self, *_about: Any) -> None:  # noqa: ANN401 - whatever is known of it
        return None


def _authorisation(path: str, variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    token = os.environ.get(variable, "").strip()
    if not token:
        raise ConfigError(
            f"{path}.token_env: the environment variable {variable} is not set.", f"export {variable}=… before the run."
        )
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(f"{path}.token_env: the value of {variable} is no token.", "It must be one line of ASCII.")
    return {"Authorization": f"Bearer {token}"}


def _whole(reply: http.client.HTTPResponse, ends: float) -> bytes:
    """The body, of which a slow service sends a little at a time.

    Raises:
        _Fault: it is too long.
        TimeoutError: it has not come in time.
    """
    parts, length = [], 0
    while part := reply.read1(1 << 16):
        parts.append(part)
        length += len(part)
        if length > MAX_BYTES:
            raise _Fault(f"the reply is longer than {MAX_BYTES} bytes")
        if time.monotonic() > ends:
            raise TimeoutError
    promised = reply.headers.get("Content-Length", "")
    if promised.isdigit() and length < int(promised):
        raise _Fault("the reply breaks off")
    return b"".join(parts)


def _scores_in(body: bytes, wanted: Sequence[str]) -> dict[str, float]:
    """The scores in a reply, by id.

    Raises:
        _Fault: the reply is not as the contract says.
    """
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        raise _Fault(f"the reply is no JSON ({len(body)} bytes)") from None
    rows = reply.get("scores") if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise _Fault('the reply has no list "scores"')
    scores: dict[str, float] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str) or "score" not in row:
            raise _Fault('an item of "scores" is no {"id": …, "score": …}')
        value = row["score"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise _Fault(f"a score is {str(value)[:40]!r}, no finite number")
        if row["id"] in scores:
            raise _Fault("an id is scored twice")
        scores[row["id"]] = float(value)
    missing = len(set(wanted) - set(scores))
    if missing:
        raise _Fault(f"{missing} of {len(wanted)} answers have no score")
    if len(scores) > len(wanted):
        raise _Fault("there are scores of answers that were not sent")
    return {key: scores[key] for key in wanted}


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _seconds_asked(header: str | None) -> float | None:
    """Retry-After, as seconds or as a date."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
