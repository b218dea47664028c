"""A reward model trained from pairs: once, deterministically, checked on held-out prompts."""

import pytest
import torch

from ppo_cli.engine.reward_model import read_pairs, split, train_reward_model
from ppo_cli.errors import IntegrityError, PromptError
from ppo_cli.experiment.term_types import Preference
from ppo_cli.records.answers import Answer, Prompt
from ppo_cli.records.events import Notice
from ppo_cli.rewards.classifier import reward_model_term as as_term
from ppo_cli.rewards.scorer import RewardContext, scores_of
from tests.tiny_models import write_rows

PARAMETERS = {
    "base": None,
    "epochs": 6,
    "learning_rate": 1e-2,
    "lora_r": 4,
    "batch_size": 8,
    "max_tokens": 64,
    "seed": 0,
}
NAMES = ["apple", "brick", "cloud", "delta", "eagle", "flame", "grape", "house", "igloo", "jolly"]


def rows(chosen="yes, gladly", rejected="no", count=60):
    made = []
    for index in range(count):
        prompt = f"{NAMES[index % 10]} {NAMES[index // 10]}?"
        made.append({"prompt": prompt, "chosen": f"{chosen} {NAMES[index % 7]}", "rejected": rejected})
    return made


@pytest.fixture
def train(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "cache"))

    def make(lines, **changed):
        events = []
        file = write_rows(tmp_path / "pairs.jsonl", lines)
        given = Preference(**{**PARAMETERS, "pairs": str(file), **changed})
        folder = train_reward_model("reward.terms.taste", given, tiny_model, torch.device("cpu"), events.append)
        return folder, [(event.level, event.text) for event in events if isinstance(event, Notice)]

    return make


def test_it_learns_the_preference_and_is_made_once(train):
    folder, notices = train(rows())
    (level, text) = notices[-1]
    assert level == "info"
    assert "reward.terms.taste: prefers the chosen answer in 100% of" in text
    before = (folder / "model.safetensors").stat().st_mtime_ns
    again, notices_again = train(rows())
    assert (again, notices_again[-1]) == (folder, notices[-1])
    assert (folder / "model.safetensors").stat().st_mtime_ns == before

    around = RewardContext(device="cpu", train_reward_model=lambda path, term, on_event: folder)
    scorer = as_term("reward.terms.taste", Preference(**PARAMETERS, pairs=""), around)
    asked = [Prompt(id="a", text="lemon?"), Prompt(id="b", text="lemon?")]
    answers = [Answer(text=text, token_count=3, finish="eos") for text in ("yes, gladly house", "no")]
    good, bad = scores_of("taste", scorer, asked, answers, [(), ()])
    assert good > bad


def test_the_same_pairs_give_the_same_weights(train, tmp_path, monkeypatch):
    first = (train(rows(), epochs=1)[0] / "model.safetensors").read_bytes()
    monkeypatch.setenv("PPO_CACHE", str(tmp_path / "another"))
    assert (train(rows(), epochs=1)[0] / "model.safetensors").read_bytes() == first


def test_what_cannot_be_told_apart_is_warned_of(train):
    lines = rows(chosen="so", rejected="so")
    for index, line in enumerate(lines):
        line["rejected"] = f"so {NAMES[(index + 3) % 7]}"
    level, text = train(lines, epochs=1, learning_rate=1e-6)[1][-1]
    assert level == "warning"
    assert "below 65%" in text


def test_a_changed_cache_is_noticed(train):
    folder, _ = train(rows(), epochs=1)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"cached reward model .* was changed"):
        train(rows(), epochs=1)


def test_pairs_of_a_prompt_stay_together_and_a_fifth_is_held_out(tmp_path):
    lines = rows() + rows(chosen="so", rejected="not so")
    train, held_out = split(read_pairs(write_rows(tmp_path / "pairs.jsonl", lines)).pairs)
    assert not {pair.prompt.text for pair in train} & {pair.prompt.text for pair in held_out}
    assert len(train) + len(held_out) == 120
    assert 0.1 < len(held_out) / 120 < 0.35


def test_too_few_pairs(tmp_path):
    with pytest.raises(PromptError, match="9 pairs; at least 10 are needed"):
        read_pairs(write_rows(tmp_path / "pairs.jsonl", rows(count=9)))
    same = [{**row, "prompt": "one"} for row in rows()]
    with pytest.raises(PromptError, match="have too few prompts"):
        read_pairs(write_rows(tmp_path / "same.jsonl", same))
    with pytest.raises(PromptError, match="no such prompt file"):
        read_pairs(tmp_path / "none.jsonl")


def test_a_pair_is_learnt_without_reasoning(tmp_path):
    lines = rows()
    plain = read_pairs(write_rows(tmp_path / "plain.jsonl", lines)).pairs
    for line in lines:
        line["chosen"] = f"<think>hm, hm</think>\n{line['chosen']}"
    assert read_pairs(write_rows(tmp_path / "reasoned.jsonl", lines)).pairs == plain
