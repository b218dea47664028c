"""Pushing an export to the Hugging Face hub: the files of export.json and no others, as one commit.

The token is the hub's own (`hf auth login` or HF_TOKEN); it is neither read into a file nor shown.

Not here: making the export (`export`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ppo_cli.errors import PpoError, UsageError
from ppo_cli.records.secrets import masked

REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def require_login(repo_id: str) -> None:
    """Checks, before any work, that a repository is named and that there is a token.

    Raises:
        UsageError: one of both is missing.
    """
    import huggingface_hub

    if not REPO_ID.fullmatch(repo_id):
        raise UsageError(f"--push {repo_id}: not the name of a repository.", "Write it as ORG/NAME.")
    if huggingface_hub.get_token() is None:
        raise UsageError("There is no token for the Hugging Face hub on this machine.", "Run `hf auth login` first.")


def push(folder: Path, files: Iterable[str], repo_id: str, *, public: bool, message: str, again: str) -> str:
    """Uploads files as one commit to a model repository, which is made where there is none.

    Args:
        folder: of the export.
        files: names inside the folder.
        repo_id: ORG/NAME.
        public: whether the repository may be public; one that is made is private otherwise.
        message: of the commit.
        again: the command that pushes once more.

    Returns:
        The address of the commit.

    Raises:
        UsageError: the repository is public and that was not asked for, or the hub refuses.
        PpoError: the hub does not answer.
    """
    import huggingface_hub
    from huggingface_hub import CommitOperationAdd

    api = huggingface_hub.HfApi()
    whole = f"The export in {folder} is complete, and only the upload failed"
    try:
        api.create_repo(repo_id, private=not public, exist_ok=True)
        if not public and api.repo_info(repo_id).private is False:
            raise UsageError(
                f"{repo_id} is a public repository, and --public was not given.",
                "Add --public if everybody may read the model, or name another repository.",
            )
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in sorted(files)]
        commit: Any = api.create_commit(repo_id, operations, commit_message=message)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - the hub's client raises the errors of whatever sends its requests
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise UsageError(
                f"{whole}: the Hugging Face hub refuses to let you write {repo_id} ({status}).",
                f"Check `hf auth whoami` and the token's rights, then run `{again}`.",
            ) from None
        lines = [line.strip() for line in masked(str(error)).splitlines() if line.strip()]
        why = (lines or [type(error).__name__])[0].rstrip(".")
        raise PpoError(f"{whole}: {why}.", f"Check the network, then run `{again}`.") from None
    return str(commit.commit_url)
