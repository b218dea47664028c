"""The reward in TRL's shape: what TRL's own get_reward reads is the reward of the right prompt and answer."""

import torch
from trl.experimental.utils import get_reward

from ppo_cli.engine.trl_reward_adapter import RewardModule
from ppo_cli.models.loading import load_tokenizer
from ppo_cli.records.answers import Answer, Prompt, RewardScore


def prompt(text):
    return Prompt(id=text, text=text, category="x", expect="any", pair_id=None, answer=None)


def test_trl_reads_each_rows_own_reward(tiny_model):
    tokens = load_tokenizer(tiny_model)
    prompts = [prompt("hi"), prompt("hello you")]
    rendered = {tuple(tokens.render(item.text)): item for item in prompts}
    width = max(map(len, rendered))
    seen = []

    def reward(prompts, answers, others):
        seen.extend(zip(prompts, answers, others, strict=True))
        return [
            RewardScore(reward=len(answer.text) + 10.0 * len(p.text), terms={}, baseline_terms={})
            for p, answer in zip(prompts, answers, strict=True)
        ]

    other = [Answer(text="z", token_count=1, finish="eos")]
    module = RewardModule(reward, tokens, rendered, {"hi": other}, width)
    letters = tokens.tokenizer.convert_tokens_to_ids
    rows = []
    for ids, answer in zip(rendered, (["a", "b", "<eos>"], ["c", "<pad>", "<pad>"]), strict=True):
        rows.append([tokens.pad_id] * (width - len(ids)) + list(ids) + [letters(token) for token in answer])
    _, rewards, _ = get_reward(module, torch.tensor(rows), tokens.pad_id, width)

    assert rewards.tolist() == [2 + 20.0, 1 + 90.0]
    assert [(item.text, answer.text, answer.finish) for item, answer, _ in seen] == [
        ("hi", "ab", "eos"),
        ("hello you", "c", "length"),
    ]
    assert seen[0][2] == other
    assert seen[1][2] == ()
