"""A row of a file as a record, after checking that every field has a value of its type.

Not here: the records (`records`), rows of answers (`answer_rows`), reading files (`files`).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ppo_cli.errors import IntegrityError

Record = TypeVar("Record")


def record_of(kind: type[Record], row: Mapping[str, Any], path: Path) -> Record:
    """The record that a row holds; fields that it does not know are left out.

    Args:
        kind: a dataclass of records.
        row: of JSON values.
        path: the file, for the message.

    Raises:
        IntegrityError: a field is missing or has a value of another type.
    """
    try:
        record: Record = _adapter(cast(Hashable, kind)).validate_json(json.dumps(row), strict=True)
    except (ValidationError, ValueError) as error:
        field = error.errors(include_url=False)[0]["loc"][:1] if isinstance(error, ValidationError) else ()
        named = f": its field {field[0]}" if field else ""
        raise IntegrityError(f"{path} is damaged{named}.", "Restore it from a backup, or repeat the run.") from None
    return record


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))
