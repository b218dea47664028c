"""`ppo export`: writes a checkpoint of a run to a folder for others, tests it there, and perhaps pushes it to the hub.

The folder is made beside its place and renamed once its self-test has passed, so that a folder of that name is whole.

Not here: the files (`merged_model`, `adapter`), the card (`model_card`), the test (`self_test`), the hub (`hub`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ppo_cli.errors import UsageError
from ppo_cli.evaluation.run_checkpoint import RunCheckpoint, find_run_checkpoint
from ppo_cli.exports import export_folder, hub
from ppo_cli.records.events import EventHandler, Phase, ignore_events
from ppo_cli.records.exports import WHOLE_MODEL, ExportOptions, ExportResult, Form, SelfTest
from ppo_cli.records.program import command
from ppo_cli.setup.own_runs import OWN_RUN, ReceivedRunOptions, require_trusted_code

if TYPE_CHECKING:
    from ppo_cli.models.loading import ChatTokenizer


def export(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    options: ExportOptions = WHOLE_MODEL,
    runs_dir: str | Path = "runs",
    received: ReceivedRunOptions = OWN_RUN,
    on_event: EventHandler = ignore_events,
) -> ExportResult:
    """Writes a checkpoint as a folder that transformers, PEFT and servers load, with a model card and a self-test.

    Args:
        checkpoint: of a run: RUN (its last), RUN/best, RUN/last, RUN/step-N.
        folder: of the export; must be empty or not be there.
        options: the whole model or the adapter alone, whether it is pushed to the hub, and what may be replaced.
        runs_dir: folder of run folders.
        received: what the user says of a run that was made on another machine.
        on_event: called with progress.

    Raises:
        UsageError: no such checkpoint, a folder that is not empty, or a run without an adapter.
        IntegrityError: the checkpoint was changed, or the self-test failed; nothing is exported then.

    Example:
        >>> export("runs/refusal-kl0.15-s1-7f3a9c/best", "refusal-model").form
        'merged'
    """
    target, form, push = Path(folder), options.form, options.push
    found = find_run_checkpoint(str(checkpoint), Path(runs_dir))
    if options.public and push is None:
        raise UsageError("--public has no effect without --push.", "Leave it out, or add --push ORG/NAME.")
    if push is not None:
        hub.require_login(push)
    kept = export_folder.kept_export(target, found, form) if push is not None and not options.force else None
    tested: SelfTest | None = None
    if kept is None:
        export_folder.require_free(target, force=options.force)
        base, tested = _write(found, target, form, received, on_event)
    else:
        base = kept.get("base")
    files = dict(export_folder.read_manifest(target)["files"])
    address = None
    if push is not None:
        on_event(Phase(name=f"pushing {len(files) + 1} files to {push}"))
        words = [*(["--adapter"] if options.adapter else []), "--push", push]
        words += ["--public"] if options.public else []
        address = hub.push(
            target,
            [*files, export_folder.MANIFEST],
            push,
            public=options.public,
            message=f"{found.records.experiment.name}, update {found.step}",
            again=command("export", found.folder, target, *words),
        )
    return ExportResult(
        checkpoint=found.name,
        folder=str(target),
        form=form,
        base=base,
        files=files,
        total_bytes=sum((target / name).stat().st_size for name in files),
        self_test=tested,
        pushed_to=address,
    )


def _write(
    found: RunCheckpoint, target: Path, form: Form, received: ReceivedRunOptions, on_event: EventHandler
) -> tuple[str | None, SelfTest]:
    """Makes the export beside its place, tests it, and moves it there; gives its base and its test."""
    from ppo_cli.models.loading import load_tokenizer
    from ppo_cli.setup.start_model import open_checkpoint

    run, model = found.records.run, found.records.experiment.model
    require_trusted_code(run, trust_code=received.trust_code, opens_reward=False)
    open_checkpoint(str(found.folder), run, on_event)
    tokenizer = load_tokenizer(
        found.folder, system_prompt=model.system_prompt, trust_remote_code=model.trust_remote_code
    )
    partial = export_folder.partial_folder(target)
    try:
        if form == "merged":
            base, tested = None, _merged(found, partial, tokenizer, on_event)
        else:
            base, tested = _adapter(found, partial, tokenizer, received, on_event)
        card = _card(found, form, base, tested)
        (partial / "README.md").write_text(card, encoding="utf-8")
        export_folder.write_manifest(partial, found, form, base)
        export_folder.put_in_place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return base, tested


def _merged(found: RunCheckpoint, partial: Path, tokenizer: ChatTokenizer, on_event: EventHandler) -> SelfTest:
    from ppo_cli.exports import self_test
    from ppo_cli.exports.merged_model import copy_model, write_generation_config

    experiment = found.records.experiment
    on_event(Phase(name=f"copying {found.name}"))
    copy_model(found.folder, partial)
    write_generation_config(partial, tokenizer, experiment.evaluation)
    on_event(Phase(name="self-test"))
    exported = self_test.load_plain(partial, trust_remote_code=experiment.model.trust_remote_code)
    prompts = self_test.chosen_prompts(found.records.prompts("prompts.eval"))
    return self_test.self_test(exported, partial, found.folder, tokenizer, prompts, experiment)


def _adapter(
    found: RunCheckpoint,
    partial: Path,
    tokenizer: ChatTokenizer,
    received: ReceivedRunOptions,
    on_event: EventHandler,
) -> tuple[str, SelfTest]:
    from ppo_cli.evaluation.start_model_of_run import load_start_model_of_run, resolved_run
    from ppo_cli.exports import self_test
    from ppo_cli.exports.adapter import load_adapted, require_adapter, write_adapter
    from ppo_cli.exports.merged_model import write_generation_config
    from ppo_cli.exports.model_card import BASE

    require_adapter(found)
    experiment = found.records.experiment
    resolved = resolved_run(found, received, on_event)
    on_event(Phase(name="restoring the adapter"))
    start = load_start_model_of_run(
        found, resolved, on_event, "Leave out --adapter; the merged model needs no start model."
    )
    base = write_adapter(found, start, partial)
    write_generation_config(partial, tokenizer, experiment.evaluation)
    on_event(Phase(name="self-test"))
    folder = partial / BASE if base == BASE else start.folder
    exported = load_adapted(partial, folder, start)
    prompts = self_test.chosen_prompts(found.records.prompts("prompts.eval"))
    tested = self_test.self_test(exported, partial, found.folder, tokenizer, prompts, experiment)
    return base, tested


def _card(found: RunCheckpoint, form: Form, base: str | None, tested: SelfTest) -> str:
    from ppo_cli.exports.model_card import model_card

    start = found.records.experiment.model
    on_hub = start.revision is not None
    return model_card(found, form, base, tested, start_is_on_hub=on_hub)
