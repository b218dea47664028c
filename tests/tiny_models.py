"""Tiny but real: a random model of each family with a tokenizer of letters, prompts, a config."""

import json

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import Fuse
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

LETTERS = " abcdefghijklmnopqrstuvwxyz.,?!'"
SPECIALS = ["<pad>", "<bos>", "<eos>", "<user>", "<assistant>", "<unk>"]
TEMPLATE = (
    "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + '<eos>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": len(LETTERS) + len(SPECIALS),
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

FAMILIES = {
    "llama": lambda: LlamaConfig(**SHAPE),
    "qwen2": lambda: Qwen2Config(**SHAPE),
    "qwen3": lambda: Qwen3Config(**SHAPE, head_dim=8),
    "mistral": lambda: MistralConfig(**SHAPE),
    "gemma": lambda: GemmaConfig(**SHAPE, head_dim=8),
    "gemma2": lambda: Gemma2Config(**SHAPE, head_dim=8, query_pre_attn_scalar=8),
    "gpt2": lambda: GPT2Config(
        n_embd=32, n_layer=4, n_head=4, n_positions=512, vocab_size=SHAPE["vocab_size"], bos_token_id=1, eos_token_id=2
    ),
}


def tiny_tokenizer(sentences=()):
    """A tokenizer with one token per letter; `sentences` are further tokens, which no prompt has."""
    vocabulary = {token: index for index, token in enumerate([*SPECIALS, *LETTERS, *sentences])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<user>", "<assistant>"]})
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def tiny_lm(family="llama", seed=0, dtype=torch.float32):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(FAMILIES[family](), dtype=dtype)
        for parameter in model.parameters():  # larger than the default, so that answers vary
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def save_tiny_model(folder, family="llama", seed=0):
    tiny_lm(family, seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def rows(prefix, count, start=0):
    """Prompt rows of four kinds with distinct wording."""
    kinds = [("scary.x", "comply"), ("unsafe.x", "refuse"), ("plain.x", "comply"), ("unsafe.y", "refuse")]
    words = ["apple", "brick", "cloud", "delta", "eagle", "flame", "grape", "house", "igloo", "jolly", "kite", "lemon"]
    made = []
    for index in range(count):
        category, expect = kinds[index % 4]
        number = index + start
        text = f"{words[number % 12]} {words[(number // 12 + 5) % 12]} {words[(number * 7) % 12]} {prefix}?"
        made.append(
            {"id": f"{prefix}-{index:03d}", "prompt": text, "category": category, "expect": expect, "pair_id": None}
        )
    return made


def write_rows(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def write_tiny_config(folder, model, **extra):
    write_rows(folder / "train.jsonl", rows("train", 24))
    write_rows(folder / "eval.jsonl", rows("eval", 16, start=60))
    text = f"""
name: tiny
goal: Say something else.
model: {{start: {model}, dtype: float32, train: {{top_layers: 2, lora: {{r: 4, alpha: 8}}}}}}
prompts: {{train: train.jsonl, eval: eval.jsonl, max_tokens: 64}}
rollout: {{max_new_tokens: 8, temperature: 1.0}}
evaluation: {{samples_per_prompt: 2, max_new_tokens: 8, temperature: 1.0, every: 2, interim_prompts: 8, seed: 5}}
reward: {{baseline: reference, terms: {{ends_turn: {{weight: 1.0}}, matches_expect: {{weight: 0.5}}}}}}
kl: {{coef: 0.05, stop_at: null}}
ppo: {{updates: 4, episodes_per_update: 8, epochs: 2, minibatches: 2, learning_rate: 1.0e-2, warmup_updates: 1}}
checkpoints: {{every: 2, keep: 2}}
device: cpu
"""
    config = folder / "tiny.yaml"
    config.write_text(text, encoding="utf-8")
    return config
