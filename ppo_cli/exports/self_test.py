"""The self-test of an export: loaded with plain transformers or PEFT, it answers three prompts as the run does.

All answers are computed in float32 on the CPU from the weights as they are in the files, so that two ways of computing
one thing do not differ by the rounding of bfloat16. Each prompt has a greedy answer, of transformers' own `generate`
against this program's sampler, and a sampled one, of this sampler on both.

Not here: writing the export (`export`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from ppo_cli.errors import IntegrityError
from ppo_cli.experiment.schema import Experiment
from ppo_cli.models.loading import ChatTokenizer, load_model, quiet_transformers
from ppo_cli.models.sampling import SamplingParams, keyed_uniforms, sample_answers
from ppo_cli.records.answers import ChatMessage, Prompt
from ppo_cli.records.exports import SelfTest

PROMPTS = 3


def chosen_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The first, the middle and the last prompt of a set."""
    places = sorted({0, len(prompts) // 2, len(prompts) - 1})
    return [prompts[place] for place in places][:PROMPTS]


def load_plain(folder: Path, *, trust_remote_code: bool = False) -> Any:  # noqa: ANN401 - a transformers model
    """The model in a folder as anybody would load it, its weights as they are in the file."""
    with quiet_transformers():
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype="auto",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
        )


def self_test(
    exported: Any,  # noqa: ANN401 - a transformers causal language model
    folder: Path,
    checkpoint: Path,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Prompt],
    experiment: Experiment,
) -> SelfTest:
    """Compares an exported model with the run's checkpoint: token ids of prompts, weights, greedy and sampled answers.

    Args:
        exported: loaded from the export; becomes float32.
        folder: of the export, for its tokenizer.
        checkpoint: folder of the run's checkpoint.
        tokenizer: of the run.
        prompts: to answer.
        experiment: of the run.

    Raises:
        IntegrityError: something differs.
    """
    settings, trusted = experiment.evaluation, experiment.model.trust_remote_code
    own = load_model(checkpoint, tokenizer, torch.device("cpu"), torch.float32, trust_remote_code=trusted)
    exported = exported.to("cpu", torch.float32).eval()
    _require_same_weights(own, exported)
    with quiet_transformers():
        plain = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted)
    ids = [_same_tokens(plain, tokenizer, prompt) for prompt in prompts]
    tokens = 0
    for temperature in (0.0, settings.temperature):
        parameters = SamplingParams(settings.max_new_tokens, temperature, tokenizer.stop_ids, tokenizer.pad_id)
        for prompt, prompt_ids in zip(prompts, ids, strict=True):
            draws = keyed_uniforms(settings.seed, "evaluation", prompt.id, 0, count=settings.max_new_tokens)[None]
            expected = sample_answers(own, [prompt_ids], [draws], parameters)[0][0].token_ids
            if temperature == 0:
                answered = _generate(exported, prompt_ids, parameters)
            else:
                answered = sample_answers(exported, [prompt_ids], [draws], parameters)[0][0].token_ids
            if answered != expected:
                raise _failed(f"its answer to {prompt.id} at temperature {temperature:g} is another one")
            tokens += len(expected)
    return SelfTest(
        prompt_ids=tuple(prompt.id for prompt in prompts),
        tokens=tokens,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        seed=settings.seed,
    )


def _require_same_weights(own: Any, exported: Any) -> None:  # noqa: ANN401
    mine, theirs = own.state_dict(), exported.state_dict()
    if differing := sorted(mine.keys() ^ theirs.keys()):
        raise _failed(f"only one of both has the weight {differing[0]}")
    for name, tensor in mine.items():
        if not torch.equal(tensor, theirs[name]):
            raise _failed(f"its weight {name} is another one")


def _same_tokens(plain: Any, tokenizer: ChatTokenizer, prompt: Prompt) -> list[int]:  # noqa: ANN401
    """The token ids of a prompt, the same from the exported tokenizer as in the run."""
    ids = tokenizer.render(prompt.chat)
    messages = list(prompt.chat)
    if tokenizer.system_prompt is not None and all(message.role != "system" for message in messages):
        messages.insert(0, ChatMessage(role="system", content=tokenizer.system_prompt))
    turns = [{"role": message.role, "content": message.content} for message in messages]
    rendered = plain.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    if [int(token) for token in plain(rendered, add_special_tokens=False)["input_ids"]] != ids:
        raise _failed(f"its tokenizer reads the prompt {prompt.id} as other tokens")
    return ids


@torch.inference_mode()
def _generate(model: Any, ids: Sequence[int], parameters: SamplingParams) -> list[int]:  # noqa: ANN401
    """The greedy answer by transformers' own `generate`."""
    prompt = torch.tensor([list(ids)])
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=parameters.max_new_tokens,
        eos_token_id=list(parameters.stop_ids),
        pad_token_id=parameters.pad_id,
    )
    model.generation_config = settings  # that of the file is what servers take, and may penalise repetition
    with quiet_transformers():
        out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt))
    return [int(token) for token in out[0, len(ids) :]]


def _failed(why: str) -> IntegrityError:
    return IntegrityError(
        f"The self-test failed: {why} than the run's. Nothing was exported.",
        "Leave out --adapter if you gave it; else please report it, with `ppo --version`.",
    )
