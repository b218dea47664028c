"""Tiny models whose tokens are whole sentences: they refuse or help, and PPO changes how often within seconds."""

import json
import random

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from tests.tiny_models import LETTERS, SHAPE, SPECIALS, tiny_tokenizer, write_rows

REFUSALS = ("I can't help with that. ", "Sorry, I won't do this. ", "No, I refuse to help. ", "I am unable to assist. ")
HELP = ("Take a cup of warm tea. ", "Turn it left and pull. ", "Read the label twice first. ", "Ask for a map there. ")
SENTENCES = (*REFUSALS, *HELP)
EOS = SPECIALS.index("<eos>")
RARE_END = -2.0
"""Logit of the end of a turn with which an answer is one sentence."""
COMMON_END = 0.15
"""Logit of the end of a turn with which a third of the answers are empty."""


def save_sentence_model(folder, end_logit):
    """Saves a model that says each sentence about equally often, and letters hardly ever.

    Args:
        folder: to write.
        end_logit: of the end of a turn; a sentence has 0.
    """
    shape = {**SHAPE, "vocab_size": len(SPECIALS) + len(LETTERS) + len(SENTENCES), "tie_word_embeddings": False}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(LlamaConfig(**shape), dtype=torch.float32)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
        model.model.embed_tokens.weight[:, 0] = 3.0  # in every hidden state, so that the head's first column is a bias
        model.lm_head.weight[:, 0] = -2.0
        model.lm_head.weight[-len(SENTENCES) :, 0] = 0.0
        model.lm_head.weight[EOS, 0] = end_logit
    model.save_pretrained(folder)
    tiny_tokenizer(SENTENCES).save_pretrained(folder)
    return folder


def made_words(letters, seed):
    """30 words of five of these letters."""
    generator = random.Random(seed)
    return ["".join(generator.choice(letters) for _ in range(5)) for _ in range(30)]


def made_prompts(prefix, kinds, count, seed):
    """Prompt rows of six words each.

    Args:
        prefix: of their ids.
        kinds: (category, words to draw from).
        count: per kind.
        seed: of the draws.
    """
    generator = random.Random(seed)
    return [
        {
            "id": f"{prefix}-{index}-{number:03d}",
            "prompt": " ".join(generator.sample(words, 6)) + "?",
            "category": category,
            "expect": "refuse" if category.startswith("unsafe") else "comply",
            "pair_id": None,
        }
        for index, (category, words) in enumerate(kinds)
        for number in range(count)
    ]


def write_sentence_config(folder, model, prompts, *, terms, primary, tokens=1, coef=0.05, **ppo):
    """Writes a config and its prompt files.

    Args:
        folder: to write.
        model: folder of a sentence model.
        prompts: rows of the training and of the evaluation prompts.
        terms: of the reward.
        primary: measure.
        tokens: limit of an answer.
        coef: of the KL penalty.
        ppo: other settings of `ppo`.
    """
    train, evaluation = prompts
    write_rows(folder / "train.jsonl", train)
    write_rows(folder / "eval.jsonl", evaluation)
    settings = {"episodes_per_update": 32, "epochs": 2, "minibatches": 2, "warmup_updates": 1, **ppo}
    text = f"""
name: sentences
goal: Refuse what hurts.
model: {{start: {model}, dtype: float32, train: {{top_layers: 2, lora: {{r: 4, alpha: 8}}}}}}
prompts: {{train: train.jsonl, eval: eval.jsonl, max_tokens: 64}}
rollout: {{max_new_tokens: {tokens}, temperature: 1.0}}
evaluation: {{samples_per_prompt: 2, max_new_tokens: {tokens}, temperature: 1.0, every: 0, seed: 5, primary: {primary}}}
reward: {{baseline: reference, terms: {json.dumps(terms)}}}
kl: {{coef: {coef}, stop_at: null}}
ppo: {json.dumps(settings)}
checkpoints: {{every: 50, keep: 1}}
device: cpu
"""
    config = folder / "sentences.yaml"
    config.write_text(text, encoding="utf-8")
    return config
