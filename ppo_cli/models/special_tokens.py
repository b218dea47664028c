"""Which tokens pad a row and end an answer, chosen from a tokenizer and its model folder.

Not here: loading either of them (`loading`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppo_cli.errors import ModelError
from ppo_cli.models.folder_checks import require_fetched

MAX_TOKEN_ID = 2**31 - 1


def pad_other_than_eos(tokenizer: Any, folder: Path) -> int:  # noqa: ANN401 - a tokenizer of transformers
    """The id of a token that can pad: the tokenizer's own unless it is eos, else one that no chat holds.

    Raises:
        ModelError: there is none.
    """
    taken = {tokenizer.eos_token_id, tokenizer.bos_token_id}
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return int(tokenizer.pad_token_id)
    # With pad = eos the end-of-turn token would be masked out of the loss as if it were padding.
    template = str(tokenizer.chat_template)
    candidates = [tokenizer.unk_token, *(str(token) for token in tokenizer.added_tokens_decoder.values())]
    for token in candidates:
        if token is None or token in template:
            continue
        token_id = tokenizer.convert_tokens_to_ids(token)
        if token_id is not None and token_id not in taken:
            tokenizer.pad_token = token
            return int(token_id)
    raise ModelError(f"{folder}: its tokenizer has no token besides eos that could pad.", "Add a pad token to it.")


def find_stop_ids(tokenizer: Any, folder: Path, pad_id: int) -> tuple[int, ...]:  # noqa: ANN401
    """The ids that end an answer: the tokenizer's end of turn, those of generation_config.json, and pad.

    Raises:
        ModelError: the file is damaged.
    """
    file = folder / "generation_config.json"
    ended_by: Any = []
    if file.exists():
        try:
            ended_by = json.loads(file.read_bytes()).get("eos_token_id")
        except (OSError, ValueError, AttributeError, RecursionError):
            require_fetched(file)
            raise ModelError(f"{file} is damaged.", "Restore the file, or use another model.") from None
    configured = [] if ended_by is None else ended_by if isinstance(ended_by, list) else [ended_by]
    if not all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in configured):
        raise ModelError(f"{file}: eos_token_id must be token ids.", "Restore the file, or use another model.")
    # The pad token too: once sampled, it ends the text as eos ends a turn.
    return tuple(dict.fromkeys([int(tokenizer.eos_token_id), *configured, pad_id]))


def require_special_tokens(model: Any, token_ids: Sequence[int], folder: Path) -> None:  # noqa: ANN401
    """Checks that pad and stop tokens have an embedding, since every batch reads them.

    Raises:
        ModelError: one has none.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    beyond = [token for token in token_ids if not 0 <= token < rows]
    if beyond:
        raise ModelError(
            f"{folder}: token {beyond[0]} pads or ends answers, and the model has embeddings for {rows} tokens only.",
            "Use the tokenizer that belongs to this model.",
        )
