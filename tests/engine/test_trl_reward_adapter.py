"""The reward as a TRL reward model: TRL's own get_reward reads the reward of the right prompt and answer."""

import torch
from trl.experimental.utils import get_reward

from benchmarks.trl_reward_adapter import RewardModule
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.records.answers import Answer, Prompt, RewardScore


def prompt(text):
    return Prompt(id=text, text=text, category="x", expect="any", pair_id=None, answer=None)


def test_trl_reads_each_rows_own_reward(tiny_model):
    tokenizer = load_tokenizer(tiny_model)
    prompts = {tuple(tokenizer.render(item.text)): item for item in (prompt("hi"), prompt("hello you"))}
    width = max(map(len, prompts))
    seen = []

    def reward(prompts, answers, baseline_answers):
        seen.extend(zip(prompts, answers, baseline_answers, strict=True))
        return [
            RewardScore(reward=len(answer.text) + 10.0 * len(p.text), terms={}, baseline_terms={})
            for p, answer in zip(prompts, answers, strict=True)
        ]

    baseline = [Answer(text="z", token_count=1, finish="eos")]
    module = RewardModule(reward, tokenizer, prompts, {"hi": baseline})
    letters = tokenizer.tokenizer.convert_tokens_to_ids
    rows = []
    for ids, answer in zip(prompts, (["a", "b", "<eos>"], ["c", "<pad>", "<pad>"]), strict=True):
        rows.append([tokenizer.pad_id] * (width - len(ids)) + list(ids) + [letters(token) for token in answer])
    _, rewards, _ = get_reward(module, torch.tensor(rows), tokenizer.pad_id, width)

    assert rewards.tolist() == [2 + 20.0, 1 + 90.0]
    assert [(item.text, answer.text, answer.finish) for item, answer, _ in seen] == [
        ("hi", "ab", "eos"),
        ("hello you", "c", "length"),
    ]
    assert seen[0][2] == baseline
    assert seen[1][2] == ()
