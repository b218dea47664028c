"""A chat with a real run: the start model restored, the same draws for all, several turns, votes that the run keeps."""

import shutil

import numpy as np
import pytest
import torch

import ppo_cli
from ppo_cli.chat.chat_models import ChatModel
from ppo_cli.chat.open_chat import votes_so_far
from ppo_cli.chat.session import ChatSession, ChatSettings, stream_all
from ppo_cli.engine.policy import Policy
from ppo_cli.engine.start_weights import require_same_start_weights
from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.experiment.schema import TrainedPart
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.records.answers import ChatMessage
from ppo_cli.records.chat import ChatOptions, VotedModel
from ppo_cli.store.votes import read_votes
from tests.terminal import fingerprint
from tests.tiny_models import tiny_lm

SETTINGS = ChatSettings(temperature=1.0, max_new_tokens=12, seed=5, system=None)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return load_tokenizer(tiny_model)


@pytest.fixture
def models(tokenizer):
    """Two tiny models with different weights."""
    return [
        ChatModel(
            name=name,
            identity=VotedModel(run="r", lock="l", step=step, checkpoint=None),
            model=tiny_lm(seed=step),
            tokenizer=tokenizer,
        )
        for name, step in (("start", 0), ("policy", 4))
    ]


@pytest.fixture
def run(trained, tmp_path):
    """A run that a test may write votes into."""
    return shutil.copytree(trained(), tmp_path / "runs" / "mine")


def test_a_checkpoint_and_its_start_model_answer_as_the_run_samples_them(run):
    chat = ppo_cli.open_chat([run], options=ChatOptions(max_tokens=12))
    start, policy = chat.models
    assert start.name == "start model of mine"
    assert policy.name == "mine/step-4"
    turn = chat.ask("a brick?")
    ids = policy.tokenizer.render("a brick?")
    draws = keyed_uniforms(5, "chat", 1, 1, count=12)[None]
    params = SamplingParams(12, 1.0, policy.tokenizer.stop_ids, policy.tokenizer.pad_id)
    for model, answer in zip(chat.models, turn.answers, strict=True):
        (expected,) = sample_answers(model.model, [ids], [draws], params)[0]
        assert answer.text == model.tokenizer.to_answer(expected).text
    weights = [model.model.state_dict() for model in chat.models]
    assert any(not torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


def test_the_same_model_twice_gives_the_same_answers(models):
    chat = ChatSession([models[0], models[0]], SETTINGS)
    for prompt in ("a brick?", "and then?"):
        first, second = chat.ask(prompt).answers
        assert first.text == second.text


def test_a_later_turn_is_answered_with_the_conversation_before_it(models):
    chat = ChatSession(models, SETTINGS)
    answers = [answer.text for answer in chat.ask("a brick?").answers]
    second = chat.ask("and then?")
    for number, model in enumerate(models):
        ids = model.tokenizer.render(
            [
                ChatMessage(role="user", content="a brick?"),
                ChatMessage(role="assistant", content=answers[number]),
                ChatMessage(role="user", content="and then?"),
            ]
        )
        draws = keyed_uniforms(5, "chat", 1, 2, count=12)[None]
        params = SamplingParams(12, 1.0, model.tokenizer.stop_ids, model.tokenizer.pad_id)
        (expected,) = sample_answers(model.model, [ids], [draws], params)[0]
        assert second.answers[number].text == model.tokenizer.to_answer(expected).text
    assert chat.said == ("a brick?", "and then?")


def test_a_new_conversation_forgets_and_draws_anew_and_a_new_chat_repeats(models):
    chat = ChatSession(models, SETTINGS)
    first = chat.ask("a brick?")
    chat.reset()
    chat.reset()
    again = chat.ask("a brick?")
    assert (first.conversation, again.conversation) == (1, 2)
    assert first.answers != again.answers
    assert ChatSession(models, SETTINGS).ask("a brick?") == first


def test_a_system_prompt_changes_the_answer_and_begins_a_conversation(models):
    chat = ChatSession(models, SETTINGS)
    plain = chat.begin("a brick?")[0]
    chat.set_system("be brief")
    told = chat.begin("a brick?")[0]
    for stream in (plain, told):
        while not stream.done:
            stream.advance()
    assert plain.text != told.text


def test_a_conversation_that_is_too_long_says_so_and_a_shorter_answer_still_fits(models):
    chat = ChatSession(models, SETTINGS)
    room = models[0].max_positions - len(models[0].tokenizer.render(""))
    streams = chat.begin("a" * (room - 2))
    while not streams[0].done:
        streams[0].advance()
    assert len(streams[0].text) <= 2
    with pytest.raises(UsageError, match=r"tokens long, and the model reads at most 512.*/reset"):
        chat.begin("a" * room)


def test_a_stopped_answer_stays_as_far_as_it_was_said(models):
    chat = ChatSession(models, SETTINGS)
    streams = chat.begin("a brick?")
    asked = iter([False] * 6)
    stream_all(streams, lambda: next(asked, True), lambda: None)
    turn = chat.finish("a brick?", streams)
    assert "stopped" in [answer.finish for answer in turn.answers]
    assert all(len(answer.text) <= 3 for answer in turn.answers)
    nothing = chat.begin("and then?")
    stream_all(nothing, lambda: True, lambda: None)
    assert chat.finish("and then?", nothing) is None
    assert chat.said == ("a brick?",)


def test_votes_are_added_to_the_run_and_change_nothing_else_in_it(run):
    before = fingerprint(run)
    for voter, choice in (("ann", "after"), ("bob", "tie")):
        chat = ppo_cli.open_chat([run], options=ChatOptions(blind=True, max_tokens=6))
        chat.ask("a brick?" if voter == "ann" else "a cloud?")
        chat.vote(choice, chat.shown_first("a brick?", voter), voter)
    rate = chat.result().votes
    assert (rate.wins, rate.ties, rate.losses, rate.voters) == (1, 1, 0, 2)
    after = fingerprint(run)
    assert {name for name in after if after[name] != before.get(name)} == {"votes.jsonl"}
    assert before.keys() <= after.keys()
    kept = read_votes(run / "votes.jsonl")
    assert [(vote.voter, vote.vote) for vote in kept] == [("ann", "after"), ("bob", "tie")]
    assert kept[0].answer_after == kept[0].answer_after.strip()
    assert votes_so_far([run]).votes == rate
    assert votes_so_far([run / "checkpoints" / "step-000002"]).votes.votes == 0  # another checkpoint, other votes
    ppo_cli.find_run(run).verify()


def test_the_order_of_answers_is_drawn_and_even(models, tmp_path):
    chat = ChatSession(models, SETTINGS, tmp_path / "votes.jsonl")
    shown = [chat.shown_first(f"prompt {number}", "ann") for number in range(400)]
    assert 160 < shown.count("before") < 240
    assert [chat.shown_first(f"prompt {number}", "bob") for number in range(400)] != shown


@pytest.mark.parametrize(
    ("runs", "options", "why"),
    [
        (1, ChatOptions(blind=True, alone=True), "--alone"),
        (3, ChatOptions(blind=True), "3 checkpoints"),
        (2, ChatOptions(blind=True), "named twice"),
        (0, ChatOptions(), "needs a run"),
    ],
)
def test_a_vote_that_is_not_between_two_models_is_refused(run, runs, options, why):
    with pytest.raises(UsageError, match=why):
        ppo_cli.open_chat([run] * runs, options=options)


@pytest.mark.parametrize("lora", [True, False])
def test_a_start_model_with_other_weights_is_refused_and_one_with_the_same_is_left_as_it_was(lora):
    trained = TrainedPart(top_layers=2) if lora else TrainedPart(top_layers=2, lora=None)

    class Settings:
        class model:  # noqa: N801 - as in a config
            train = trained

        seed = 3

    model = tiny_lm()
    provenance = {"reference": {"sha256_at_start": Policy(tiny_lm(), trained, seed=3).reference_digest()}}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    require_same_start_weights(model, Settings, provenance, "Use another.")
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    with pytest.raises(IntegrityError, match="other weights"):
        require_same_start_weights(model, Settings, provenance, "Use another.")


def test_draws_belong_to_the_turn():
    assert not np.array_equal(*(keyed_uniforms(5, "chat", 1, turn, count=4) for turn in (1, 2)))
