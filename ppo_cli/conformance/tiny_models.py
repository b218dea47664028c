"""The model folders that the suite trains: a random Llama of two layers over sixteen tokens, with its tokenizer.

Its padding token is never sampled: residual channel 0 is the same positive number at every position, no layer writes
to it, and only the padding token's logit reads it.

Not here: other families (the checks are about the trainer, not about the model).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import Fuse
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from ppo_cli.models.loading import quiet_transformers

PAD, BOS, EOS = 0, 1, 2
LETTERS = "abcdefghijklm"
VOCABULARY = len(LETTERS) + 3
WIDTH = 32
PROMPTS = tuple(tuple(3 + (7 * row + 3 * step + row * step) % 13 for step in range(3 + row % 5)) for row in range(24))
"""Prompts of three to seven letters."""
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def write_model(
    folder: Path, *, pad_is_eos: bool = False, other_padding: bool = False, repetition_penalty: float | None = None
) -> Path:
    """Writes the model, or one that differs from it in what must not matter.

    Args:
        folder: to write.
        pad_is_eos: its tokenizer names the EOS token as padding, as those of many instruct models do.
        other_padding: the padding token has another embedding.
        repetition_penalty: in its generation settings.
    """
    model = tiny_model()
    if other_padding:
        with torch.no_grad():
            model.get_input_embeddings().weight[PAD, 1:] = 3.0
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer().save_pretrained(folder)
    if pad_is_eos:
        _change(folder / "tokenizer_config.json", pad_token="<eos>")  # noqa: S106 - a token of text
    if repetition_penalty is not None:
        _change(folder / "generation_config.json", repetition_penalty=repetition_penalty)
    return folder


def tiny_model() -> Any:  # noqa: ANN401 - transformers is untyped
    """The model before training."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.15)
        model.get_input_embeddings().weight[:, 0] = 1.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        head = model.get_output_embeddings().weight
        head[:, 0] = 0.0
        head[PAD] = 0.0
        head[PAD, 0] = -40.0
    return model.eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """One token per letter."""
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<bos>", "<eos>", *LETTERS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))  # noqa: S106 - a token of text
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.decoder = Fuse()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",  # noqa: S106
        bos_token="<bos>",  # noqa: S106
        eos_token="<eos>",  # noqa: S106
    )
    made.chat_template = TEMPLATE
    return made


def _change(file: Path, **changes: Any) -> None:  # noqa: ANN401 - JSON values
    """Changes keys of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
