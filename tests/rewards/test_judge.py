"""A judge: a model that is loaded here, and an endpoint on loopback."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from ppo_cli.errors import ConfigError, ModelError, RewardUnavailableError
from ppo_cli.experiment.term_types import Judge
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.rewards.judge import judge, question
from ppo_cli.rewards.scorer import RewardContext, scores_of
from tests.rewards.http_server import serving
from tests.tiny_models import SHAPE, save_tiny_model, tiny_tokenizer

CHOICES = ["refuses", "helps in part", "helps"]
TEXTS = ["yes, do that", "no", "", "a longer answer, that goes on"]


def term(**changes):
    return Judge(**{"model": "judge", "rubric": "does it help?", "choices": CHOICES, "retries": 0, **changes})


def scores(scorer, texts=TEXTS):
    prompts = [Prompt(id=str(index), text="well?") for index in range(len(texts))]
    answers = [Answer(text=text, token_count=3, finish="eos") for text in texts]
    own = scores_of("judge", scorer, prompts, answers, [()] * len(texts))
    return own, {name: score(prompts, answers, []) for name, score in scorer.details.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("judge")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, "vocab_size": SHAPE["vocab_size"] + 3}))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(path)
    tiny_tokenizer("ABC").save_pretrained(path)
    return path


def opened(folder, **changes):
    context = RewardContext(device="cpu", fetch_model=lambda path, model, revision: folder)
    return judge("evaluation.measures.helps", term(**changes), context)


def test_the_score_is_the_mean_over_both_orders_of_the_letters_probabilities(folder):
    own, details = scores(opened(folder))
    model, tokenizer = LlamaForCausalLM.from_pretrained(folder).eval(), tiny_tokenizer("ABC")
    letters = tokenizer.convert_tokens_to_ids(["A", "B", "C"])
    for index, text in enumerate(TEXTS):
        shares = []
        for turned in (False, True):
            asked = question(term(), "well?", text, turned=turned)
            ids = tokenizer(f"<user>{asked}<eos><assistant>", add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                of_letters = model(input_ids=torch.tensor([ids])).logits[0, -1, letters].double().softmax(0).tolist()
            shares.append(of_letters[::-1] if turned else of_letters)
        mean = [(a + b) / 2 for a, b in zip(*shares, strict=True)]
        assert own[index] == pytest.approx(mean[1] / 2 + mean[2], abs=1e-5)
        assert details["choice"][index] == max(range(3), key=mean.__getitem__)
        assert details["orders_differ"][index] == (shares[0].index(max(shares[0])) != shares[1].index(max(shares[1])))


def test_what_is_judged_beside_an_answer_changes_no_digit(folder):
    together, alone = scores(opened(folder))[0], opened(folder)
    assert [scores(alone, [text])[0][0] for text in TEXTS[::-1]] == together[::-1]


def test_a_tokenizer_without_the_letters_and_a_question_that_is_too_long_are_refused(folder, tmp_path):
    with pytest.raises(ModelError, match=r"measures\.helps\.model: its tokenizer does not tell AB apart"):
        opened(save_tiny_model(tmp_path))
    with pytest.raises(ModelError, match=r"has \d+ tokens, and the model reads 512"):
        scores(opened(folder), ["a" * 600])


@pytest.fixture
def service():
    with serving() as started:
        yield started


def asked_of(service, monkeypatch, cache=None, **changes):
    monkeypatch.setenv("JUDGE_TOKEN", "a-token")
    given = term(endpoint=service.url, token_env="JUDGE_TOKEN", **changes)
    return judge("reward.terms.helps", given, RewardContext(cache=cache))


def test_an_endpoint_is_asked_in_both_orders_and_each_question_once(service, monkeypatch, tmp_path):
    service.plan = [("reply", text) for text in ("C", "A.", " **A**", "Answer: C", "B", "<think>A</think>B", "C", "C")]
    cache = tmp_path / "cache.jsonl"
    own, details = scores(asked_of(service, monkeypatch, cache))
    assert own == [1.0, 0.0, 0.5, 0.5]  # the second letter of each pair is of the turned list
    assert details == {"orders_differ": [0.0, 0.0, 0.0, 1.0], "choice": [2.0, 0.0, 1.0, 0.0]}
    assert len(service.requests) == 2 * len(TEXTS)
    assert {request["headers"]["Authorization"] for request in service.requests} == {"Bearer a-token"}
    body = service.requests[1]["body"]
    assert body["model"] == "judge"
    assert body["temperature"] == 0
    assert "A. helps\nB. helps in part\nC. refuses" in body["messages"][0]["content"]
    assert "a-token" not in cache.read_text()
    assert scores(asked_of(service, monkeypatch, cache))[0] == own
    assert len(service.requests) == 2 * len(TEXTS)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (("reply", "A good answer, so C."), "the reply is not one of A, B, C"),
        (("reply", "It helps."), "the reply is not one of A, B, C"),
        ("no scores", "the reply is not a chat completion"),
        (401, "status 401"),
    ],
)
def test_a_reply_without_a_letter_is_no_score(service, monkeypatch, plan, message):
    service.plan = [plan]
    with pytest.raises(RewardUnavailableError, match=message):
        scores(asked_of(service, monkeypatch), ["yes"])


def test_a_token_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("JUDGE_TOKEN", raising=False)
    given = term(endpoint="http://127.0.0.1:9/v1/chat/completions", token_env="JUDGE_TOKEN")
    with pytest.raises(ConfigError, match=r"token_env: the environment variable JUDGE_TOKEN is not set"):
        judge("reward.terms.helps", given, RewardContext())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choices": ["a", "a"]}, "must be different texts"),
        ({"human_labels": ["refuse"]}, "must name one label per choice, 3 in all"),
        ({"human_labels": ["refuse", "partly", "comply"]}, "each must be one of refuse, partial, comply"),
        ({"token_env": "X"}, "has no effect unless endpoint is set"),
        ({"endpoint": "https://me:word@host/v1"}, "holds a password"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        term(**changes)
