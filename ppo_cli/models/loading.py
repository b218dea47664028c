"""Loads weights and tokenizers: safetensors only, pad never eos, a neutral generation config.

Not here: finding the folder (`model_source`), device and dtype (`device`), what makes two models the same
(`model_digests`), training (`engine`).
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from ppo_cli.errors import ModelError, NoChatTemplateError
from ppo_cli.models.answer_tokens import answer_of, decode_answer, opens_reasoning, reasoning_tags
from ppo_cli.models.control_tokens import encode_chat
from ppo_cli.models.folder_checks import (
    CONFIG,
    OTHER_MODEL,
    raise_known_reason,
    read_config,
    require_fetched,
    require_finite_weights,
    require_matching_weights,
    require_plain_weights,
)
from ppo_cli.models.grouped_attention import attend_by_groups
from ppo_cli.models.lm_head import LMHead
from ppo_cli.models.quantised import QuantisedWeights, keep_as_loaded, loading_options
from ppo_cli.models.sampling import SampledTokens
from ppo_cli.models.special_tokens import find_stop_ids, pad_other_than_eos, require_special_tokens
from ppo_cli.models.template_date import fix_template_date
from ppo_cli.records.answers import Answer, ChatMessage, Finish
from ppo_cli.store.files import disk_errors

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
)
"""Files that decide how text becomes token ids."""
SUPPORT_FILES = (*TOKENIZER_FILES, "chat_template.jinja", "chat_template.json", "generation_config.json")
"""Files that a checkpoint takes over from the start model, besides the code of a model that brings its own."""


@dataclass(frozen=True)
class ChatTokenizer:
    """A tokenizer with a chat template, a pad token and stop tokens."""

    tokenizer: Any
    """transformers' PreTrainedTokenizerBase, padding on the left."""
    pad_id: int
    """Pads short rows; never an end-of-turn token."""
    stop_ids: tuple[int, ...]
    """Any of these ends an answer: end-of-turn first, then the model's other end tokens, then pad."""
    system_prompt: str | None
    """Precedes every prompt; None adds no system turn."""

    def render(self, prompt: str | Sequence[ChatMessage]) -> list[int]:
        """Token ids of a conversation under the chat template, up to where the answer begins.

        Control tokens in the turns are encoded as text. A system turn of the conversation takes the place of
        `system_prompt`.

        Args:
            prompt: the turns; a text is one turn of the user.

        Raises:
            ModelError: the template cannot render it.
        """
        messages = [ChatMessage(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)
        own_system = any(message.role == "system" for message in messages)
        if self.system_prompt is not None and not own_system:
            messages.insert(0, ChatMessage(role="system", content=self.system_prompt))
        try:
            return encode_chat(self.tokenizer, messages)
        except Exception as error:  # noqa: BLE001 - a template raises whatever its author did not think of
            step = "Use another model."
            if own_system or len(messages) > 2:
                step = "Leave out the turns that it does not accept (system, or two of one speaker in a row)."
            elif self.system_prompt:
                step = "Leave out model.system_prompt, or use another model."
            name = self.tokenizer.name_or_path
            raise ModelError(f"The chat template of {name} fails: {_first_line(error)}.", step) from None

    @cached_property
    def opens_reasoning(self) -> bool:
        """Whether the chat template ends a prompt with an opening tag of reasoning."""
        return opens_reasoning(self.tokenizer)

    @cached_property
    def reasoning_tags(self) -> dict[int, str]:
        """The special tokens that begin or end reasoning, by id."""
        return reasoning_tags(self.tokenizer)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of an answer, without outer blanks and without special tokens other than tags of reasoning."""
        return decode_answer(self.tokenizer, token_ids, self.reasoning_tags)

    def to_answer(self, sampled: SampledTokens) -> Answer:
        """A sampled answer as text."""
        return self.answer_of(sampled.token_ids, sampled.finish)

    def answer_of(self, token_ids: list[int], finish: Finish) -> Answer:
        """Sampled tokens as an answer, its reasoning separated from its text."""
        return answer_of(token_ids, finish, self.decode, opened=self.opens_reasoning)


def load_tokenizer(folder: Path, *, system_prompt: str | None = None, trust_remote_code: bool = False) -> ChatTokenizer:
    """Loads the tokenizer of a model folder and chooses pad and stop tokens.

    Args:
        folder: of the model.
        system_prompt: precedes every prompt.
        trust_remote_code: runs the tokenizer's own code.

    Raises:
        ModelError: no usable tokenizer, no eos token, or no token that could pad.
        NoChatTemplateError: no chat template.
    """
    fix_template_date()
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=trust_remote_code, local_files_only=True, padding_side="left"
            )
    except Exception as error:  # noqa: BLE001 - transformers raises whatever a broken file leads to
        for file in (folder / name for name in TOKENIZER_FILES):
            if file.is_file():
                require_fetched(file)
        raise_known_reason(error, folder)
        _require_usable_config(folder)
        why, step = _first_line(error), OTHER_MODEL
        if not any((folder / name).is_file() for name in TOKENIZER_FILES):
            why, step = (
                f"there is no {TOKENIZER_FILES[0]}",
                "Copy the tokenizer's files from the model it was made from.",
            )
        raise ModelError(f"{folder}: its tokenizer cannot be read: {why}.", step) from None
    if tokenizer.eos_token_id is None:
        raise ModelError(f"{folder}: its tokenizer has no eos token, so no answer could end.", "Add one to it.")
    if not tokenizer.chat_template:
        raise NoChatTemplateError(
            f"{folder}: its tokenizer has no chat template, so the model was not tuned to answer.",
            "Start from an instruct model.",
        )
    pad_id = pad_other_than_eos(tokenizer, folder)
    return ChatTokenizer(tokenizer, pad_id, find_stop_ids(tokenizer, folder, pad_id), system_prompt)


def load_model(
    folder: Path,
    tokenizer: ChatTokenizer,
    device: torch.device,
    dtype: torch.dtype,
    *,
    trust_remote_code: bool = False,
    load_in: QuantisedWeights | None = None,
) -> Any:  # noqa: ANN401 - transformers is untyped here
    """Loads a causal language model, dropout off.

    The checkpoint's generation config is replaced by a neutral one: a repetition penalty in it would change the sampled
    log-probabilities, and PPO would see a KL that is not there. `export_support_files` copies it to saved models.

    Args:
        folder: of the model.
        tokenizer: its tokenizer; gives pad and stop tokens.
        device: to load on.
        dtype: of the weights.
        trust_remote_code: runs the model's own code.
        load_in: holds the linear maps in fewer bits.

    Returns:
        A transformers causal language model.

    Raises:
        ModelError: the folder holds no causal language model in safetensors, a weight is missing, does not fit or is
            not finite, or `LMHead` does not reproduce the logits of the model's family.
    """
    options = loading_options(load_in, device, dtype)
    model = read_weights(folder, dtype, trust_remote_code=trust_remote_code, **options)
    require_special_tokens(model, (tokenizer.pad_id, *tokenizer.stop_ids), folder)
    model.generation_config = GenerationConfig(eos_token_id=list(tokenizer.stop_ids), pad_token_id=tokenizer.pad_id)
    model.config.pad_token_id = tokenizer.pad_id
    if load_in:
        keep_as_loaded(model)
    model = (model if load_in else model.to(device)).eval()
    if device.type == "cpu":
        attend_by_groups(model)
    if not LMHead(model).matches_forward(model):
        raise ModelError(
            f"{folder}: the {model.config.model_type} family computes its logits in a way that is not supported.",
            "Use a Llama, Qwen, Mistral, Gemma or GPT-2 model.",
        )
    return model


def read_weights(
    folder: Path,
    dtype: torch.dtype | str,
    *,
    trust_remote_code: bool = False,
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """The causal language model in a folder as it lies there; every weight is read, fits and is finite.

    Args:
        folder: of the model.
        dtype: of the weights; "auto" keeps that of the files.
        trust_remote_code: runs the model's own code.
        options: passed on to transformers.

    Raises:
        ModelError: with the likely reason.
    """
    require_plain_weights(folder)
    try:
        with quiet_transformers():
            model, report = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - transformers raises whatever a broken file leads to
        raise_known_reason(error, folder)
        raise ModelError(f"{folder}: its weights cannot be read: {_first_line(error)}.", OTHER_MODEL) from None
    require_matching_weights(report, folder)
    require_finite_weights(model, folder)
    head = getattr(model.get_output_embeddings(), "weight", None)
    if head is not None and head is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False  # else a copy that is saved would state what the weights are not
    return model


def export_support_files(start: Path, target: Path) -> None:
    """Copies what a checkpoint needs beside weights and config.json: tokenizer, generation config, own code.

    Args:
        start: folder of the start model.
        target: folder of the checkpoint.
    """
    named_in = [file for file in (start / CONFIG, start / "tokenizer_config.json") if file.is_file()]
    code = sorted(start.glob("*.py")) if any(b'"auto_map"' in file.read_bytes() for file in named_in) else []
    for file in [*(start / name for name in SUPPORT_FILES), *sorted(start.glob("*.tiktoken")), *code]:
        if file.is_file():
            shutil.copyfile(file, target / file.name)


@contextmanager
def writing_weights(path: Path) -> Iterator[None]:
    """Turns a full disk or a missing permission into one sentence; safetensors reports them in its message only.

    Args:
        path: that is written.

    Raises:
        DiskFullError: no space is left.
        NoPermissionError: the path may not be written.
    """
    with disk_errors(path):
        try:
            yield
        except SafetensorError as error:
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Switches off transformers' progress bars and warnings inside the block."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _require_usable_config(folder: Path) -> None:
    """Checks config.json, which is read with the tokenizer too.

    Raises:
        ModelError: says what is wrong with it.
    """
    if not (folder / CONFIG).is_file():
        return
    read_config(folder)
    try:
        with quiet_transformers():
            AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # noqa: BLE001 - as above
        raise_known_reason(error, folder)
        raise ModelError(f"{folder / CONFIG} cannot be used: {_first_line(error)}.", OTHER_MODEL) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
