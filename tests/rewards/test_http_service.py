"""A reward service that works, and one that fails in all usual ways, on loopback."""

import threading
import time
from email.utils import formatdate

import pytest
from pydantic import ValidationError

from ppo_cli.errors import ConfigError, RewardUnavailableError
from ppo_cli.experiment.term_types import Http
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.http_service import http_service
from ppo_cli.rewards.scorer import RewardContext, scores_of
from tests.rewards.http_server import DRIPPED_FOR_EVER, score_of, serving

TEXTS = ["yes", "no, never", "也许 🙂", ""]
SCORES = [score_of(text) for text in TEXTS]


@pytest.fixture
def service():
    with serving() as started:
        yield started


class Term:
    """A term that a service scores, with the warnings that it gave and the seconds that it waited."""

    def __init__(self, url, cache=None, **parameters):
        self.warnings, self.waits = [], []
        given = Http(**{"url": url, "timeout": 5.0, "retries": 3, **parameters})
        context = RewardContext(on_event=lambda event: self.warnings.append(event.text), cache=cache)
        self.scorer = http_service("reward.terms.judge", given, context, sleep=self.waits.append)

    def __call__(self, *texts):
        prompts = [Prompt(id=str(index), text="Well?") for index in range(len(texts))]
        answers = [Answer(text=text, token_count=3, finish="eos") for text in texts]
        return scores_of("judge", self.scorer, prompts, answers, [()] * len(texts))


def test_what_is_sent_and_what_comes_back(service):
    assert Term(service.url)(*TEXTS) == SCORES
    (request,) = service.requests
    assert set(request["body"]) == {"contract", "items"}
    assert request["body"]["contract"] == "ppo-reward/1"
    assert [set(item) for item in request["body"]["items"]] == [{"id", "prompt", "answer"}] * 4
    assert service.asked == TEXTS
    assert "Authorization" not in request["headers"]


def test_batches_and_no_answer_twice(service):
    term = Term(service.url, batch_size=3)
    assert term(*TEXTS, *TEXTS) == SCORES * 2
    assert [len(request["body"]["items"]) for request in service.requests] == [3, 1]
    assert term(*TEXTS[::-1]) == SCORES[::-1]
    assert len(service.requests) == 2


def test_scores_belong_to_their_ids_whatever_the_order(service):
    service.plan = ["turned"]
    assert Term(service.url)(*TEXTS) == SCORES


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (500, "status 500"),
        (503, "status 503"),
        (429, "status 429"),
        ("garbage", "the reply is not JSON"),
        ("no scores", 'the reply has no list "scores"'),
        ("numbers alone", 'an item of "scores" is not {"id": …, "score": …}'),
        ("half", "the reply is incomplete"),
        ("hangs up", "server disconnected without sending a response"),
        ("too few", "1 of 4 answers have no score"),
        ("strings", "a score is '0.375', not a finite number"),
        ("NaN", "a score is 'nan', not a finite number"),
        ("huge", "not a finite number"),
        ("twice", "an id is scored twice"),
        ("strangers", "scores of answers that were not sent"),
    ],
)
def test_a_fault_is_retried_and_one_that_stays_pauses(service, fault, message):
    service.plan = [fault, fault, "fine"]
    term = Term(service.url)
    assert term(*TEXTS) == SCORES
    assert term.waits == [0.5, 1.0]
    assert len(term.warnings) == 2
    assert all(message in text for text in term.warnings)
    service.plan = [fault]
    with pytest.raises(
        RewardUnavailableError, match=r"reward\.terms\.judge: http://127.* does not score: .* \(4 tries\)"
    ):
        Term(service.url)(*TEXTS)


def test_a_slow_service_is_cut_off(service):
    service.plan = ["slow", "fine"]
    term = Term(service.url, timeout=1)
    assert term(*TEXTS) == SCORES
    assert "no complete reply within 1 s" in term.warnings[0]


@pytest.mark.parametrize("what", DRIPPED_FOR_EVER)
def test_the_time_limit_holds_for_the_whole_exchange(service, what):
    service.plan = [what, "fine"]
    term = Term(service.url, timeout=1)
    assert term(*TEXTS) == SCORES
    assert "no complete reply within 1 s" in term.warnings[0]
    for thread in threading.enumerate():
        if thread.name == "reward-service":
            thread.join(5)
            assert not thread.is_alive()


def test_a_service_that_is_down(service):
    with serving() as gone:
        url = gone.url
    with pytest.raises(RewardUnavailableError, match=r"connection refused \(3 tries\)"):
        Term(url, retries=2)(*TEXTS)


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_status_that_rejects_the_request_is_not_retried(service, status):
    service.plan = [status]
    with pytest.raises(RewardUnavailableError, match=rf"status {status} .*\(one try\).*Check its url and token"):
        Term(service.url)(*TEXTS)
    assert len(service.requests) == 1


def test_retry_after_is_respected_up_to_a_limit(service):
    service.plan = [(429, "7"), (503, formatdate(time.time() + 3600)), (503, "soon"), "fine"]
    term = Term(service.url)
    assert term(*TEXTS) == SCORES
    assert term.waits == [7.0, 300.0, 2.0]


def test_scores_are_cached_on_disk_by_content(service, tmp_path):
    cache = tmp_path / "scores.jsonl"
    service.plan = ["fine", 500]
    with pytest.raises(RewardUnavailableError):
        Term(service.url, cache, batch_size=2, retries=0)(*TEXTS)
    service.plan = ["fine"]
    asked = len(service.asked)
    assert Term(service.url, cache, batch_size=2)(*TEXTS) == SCORES
    assert service.asked[asked:] == TEXTS[2:]
    with cache.open("a") as file:
        file.write('{"key": "cut o')
    requests = len(service.requests)
    assert Term(service.url, cache)(*TEXTS, "new") == [*SCORES, score_of("new")]
    assert Term(service.url, cache)("new") == [score_of("new")]
    assert len(service.requests) == requests + 1


def test_the_token_comes_from_the_environment_and_is_written_nowhere(service, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_TOKEN", "opensesame")
    cache = tmp_path / "scores.jsonl"
    term = Term(service.url, cache, token_env="JUDGE_TOKEN")
    assert term(*TEXTS) == SCORES
    assert service.requests[0]["headers"]["Authorization"] == "Bearer opensesame"
    service.plan = [401]
    with pytest.raises(RewardUnavailableError) as caught:
        term("another")
    assert "opensesame" not in cache.read_text() + str(caught.value) + "".join(term.warnings)
    monkeypatch.setenv("JUDGE_TOKEN", "two\nlines")
    with pytest.raises(ConfigError, match=r"token_env: the value cannot be sent in a header"):
        Term(service.url, token_env="JUDGE_TOKEN")
    monkeypatch.delenv("JUDGE_TOKEN")
    with pytest.raises(ConfigError, match=r"token_env: the environment variable JUDGE_TOKEN is not set"):
        Term(service.url, token_env="JUDGE_TOKEN")


def test_further_headers_are_sent_and_their_secrets_are_written_nowhere(service, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    cache = tmp_path / "cache.jsonl"
    term = Term(service.url, cache, headers=["X-Api-Key: ${oc.env:JUDGE_KEY}", "X-Team: blue"])
    term("a")
    sent = service.requests[-1]["headers"]
    assert (sent["X-Api-Key"], sent["X-Team"]) == ("s3cret", "blue")
    assert "s3cret" not in cache.read_text()
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(ConfigError, match=r"headers\[0\]: the environment variable JUDGE_KEY is not set"):
        Term(service.url, headers=["X-Api-Key: ${oc.env:JUDGE_KEY}"])


@pytest.mark.parametrize(
    "header", ["X-Api-Key: abc", "Host: x", "no colon", "X: hf_abcdefghijkl", "Authorization: Bearer a"]
)
def test_a_header_that_would_write_a_secret_down_or_is_none_is_refused(header):
    with pytest.raises(ValidationError, match="headers"):
        Http(url="http://localhost:1", headers=[header])


def test_a_query_is_in_no_message(service):
    service.plan = [503]
    term = Term(f"{service.url}?v=opensesame", retries=1)
    with pytest.raises(RewardUnavailableError, match=r"/score does not score") as caught:
        term(*TEXTS)
    assert "opensesame" not in str(caught.value) + "".join(term.warnings)


def test_a_reply_that_is_too_long_is_not_read(service, monkeypatch):
    monkeypatch.setattr("ppo_cli.rewards.http_service.MAX_REPLY_BYTES", 20)
    with pytest.raises(RewardUnavailableError, match="the reply is longer than 20 bytes"):
        Term(service.url, retries=0)(*TEXTS)


def test_a_cookie_is_not_sent_back_and_a_reply_is_not_compressed(service):
    service.plan = ["sets a cookie", "fine"]
    assert Term(service.url, batch_size=2)(*TEXTS) == SCORES
    assert len(service.requests) == 2
    for request in service.requests:
        assert "cookie" not in {name.lower() for name in request["headers"]}
        assert request["headers"]["Accept-Encoding"] == "identity"


def test_loopback_needs_no_proxy(service, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert Term(service.url)(*TEXTS) == SCORES


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch):
    monkeypatch.setenv("all_proxy", "gopher://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"reward\.terms\.judge: the environment names a proxy that cannot be used"):
        Term("https://judge.example/score")
