"""A reward service that works, and one that fails in all the usual ways, on loopback."""

import time
from email.utils import formatdate

import pytest

from ppo_cli.errors import ConfigError, RewardUnavailableError
from ppo_cli.experiment.term_types import Http
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.http_service import http_service
from ppo_cli.rewards.scorer import RewardContext, scores_of
from tests.rewards.http_server import score_of, serving

TEXTS = ["yes", "no, never", "也许 🙂", ""]
SCORES = [score_of(text) for text in TEXTS]


@pytest.fixture
def service():
    with serving() as started:
        yield started


class Term:
    """A term that asks a service, and what it said and how long it waited on the way."""

    def __init__(self, url, cache=None, **parameters):
        self.said, self.waits = [], []
        given = Http(**{"url": url, "timeout": 5.0, "retries": 3, **parameters})
        around = RewardContext(on_event=lambda event: self.said.append(event.text), cache=cache)
        self.scorer = http_service("reward.terms.judge", given, around, sleep=self.waits.append)

    def __call__(self, *texts):
        prompts = [Prompt(id=str(place), text="Well?") for place in range(len(texts))]
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
    ("fault", "said"),
    [
        (500, "status 500"),
        (503, "status 503"),
        (429, "status 429"),
        ("garbage", "the reply is no JSON"),
        ("no scores", 'the reply has no list "scores"'),
        ("numbers alone", 'an item of "scores" is no'),
        ("half", "the reply breaks off"),
        ("hangs up", "remote"),
        ("too few", "1 of 4 answers have no score"),
        ("strings", "a score is '0.375', no finite number"),
        ("NaN", "a score is 'nan', no finite number"),
        ("huge", "no finite number"),
        ("twice", "an id is scored twice"),
        ("strangers", "scores of answers that were not sent"),
    ],
)
def test_a_fault_is_tried_again_and_one_that_stays_pauses(service, fault, said):
    service.plan = [fault, fault, "fine"]
    term = Term(service.url)
    assert term(*TEXTS) == SCORES
    assert term.waits == [0.5, 1.0]
    assert all(said in text for text in term.said)
    service.plan = [fault]
    with pytest.raises(
        RewardUnavailableError, match=r"reward\.terms\.judge: http://127.* does not score: .* \(4 tries\)"
    ):
        Term(service.url)(*TEXTS)


def test_a_slow_service_is_cut_off(service):
    service.plan = ["slow", "fine"]
    term = Term(service.url, timeout=0.3)
    assert term(*TEXTS) == SCORES
    assert "no whole reply within 0.3 s" in term.said[0]


def test_a_service_that_is_down(service):
    with serving() as gone:
        url = gone.url
    with pytest.raises(RewardUnavailableError, match=r"connection refused \(3 tries\)"):
        Term(url, retries=2)(*TEXTS)


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_what_speaks_against_the_request_is_not_tried_again(service, status):
    service.plan = [status]
    with pytest.raises(RewardUnavailableError, match=rf"status {status} .*\(one try\).*Check its url and token"):
        Term(service.url)(*TEXTS)
    assert len(service.requests) == 1


def test_retry_after_is_respected_up_to_a_limit(service):
    service.plan = [(429, "7"), (503, formatdate(time.time() + 3600)), (503, "soon"), "fine"]
    term = Term(service.url)
    assert term(*TEXTS) == SCORES
    assert term.waits == [7.0, 300.0, 2.0]


def test_scores_are_kept_on_disk_by_content(service, tmp_path):
    kept = tmp_path / "scores.jsonl"
    service.plan = ["fine", 500]
    with pytest.raises(RewardUnavailableError):
        Term(service.url, kept, batch_size=2, retries=0)(*TEXTS)
    service.plan = ["fine"]
    asked = len(service.asked)
    assert Term(service.url, kept, batch_size=2)(*TEXTS) == SCORES
    assert service.asked[asked:] == TEXTS[2:]
    with kept.open("a") as file:
        file.write('{"key": "cut o')
    requests = len(service.requests)
    assert Term(service.url, kept)(*TEXTS, "new") == [*SCORES, score_of("new")]
    assert Term(service.url, kept)("new") == [score_of("new")]
    assert len(service.requests) == requests + 1


def test_the_token_comes_from_the_environment_and_is_written_nowhere(service, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_TOKEN", "opensesame")
    kept = tmp_path / "scores.jsonl"
    term = Term(service.url, kept, token_env="JUDGE_TOKEN")
    assert term(*TEXTS) == SCORES
    assert service.requests[0]["headers"]["Authorization"] == "Bearer opensesame"
    service.plan = [401]
    with pytest.raises(RewardUnavailableError) as found:
        term("another")
    assert "opensesame" not in kept.read_text() + str(found.value) + "".join(term.said)
    monkeypatch.setenv("JUDGE_TOKEN", "two\nlines")
    with pytest.raises(ConfigError, match="is no token"):
        Term(service.url, token_env="JUDGE_TOKEN")
    monkeypatch.delenv("JUDGE_TOKEN")
    with pytest.raises(ConfigError, match=r"token_env: the environment variable JUDGE_TOKEN is not set"):
        Term(service.url, token_env="JUDGE_TOKEN")
