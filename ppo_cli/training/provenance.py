"""Write, check on resume, and complete a run's provenance.json.

Not here: git state, packages and machine (`store.provenance`).
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from ppo_cli.engine.distributed import ProcessGroup
from ppo_cli.engine.policy import Policy
from ppo_cli.errors import IntegrityError
from ppo_cli.records.events import EventHandler, Notice
from ppo_cli.setup.start_model import StartModel
from ppo_cli.store.files import read_json, write_json
from ppo_cli.store.provenance import FIRST_PACKAGES, provenance
from ppo_cli.store.runs import Run, now


def record_provenance(
    run: Run, start: StartModel, policy: Policy, process_group: ProcessGroup, on_event: EventHandler
) -> str:
    """Writes what the run's numbers depend on besides its config; on resume, checks it and adds what is different now.

    Args:
        run: gets the record.
        start: the loaded start model.
        policy: holds the reference.
        process_group: that trains.
        on_event: called with a warning when packages, device or processes are not those of the first record.

    Returns:
        The digest of the reference's weights.

    Raises:
        IntegrityError: the reference has other weights than when the run started.
    """
    path, experiment = run.layout.provenance, run.experiment()
    digest = policy.reference_digest()
    if path.is_file():
        first = read_json(path)
        if first["reference"]["sha256_at_start"] != digest:
            raise IntegrityError(
                f"{run.name}: the reference has other weights than when the run started.",
                "Use the package versions and the machine in its provenance.json, or start a new run.",
            )
        _restore_threads(first, start, process_group, on_event)
        _record_resume(run, first, start, process_group, on_event)
        return digest
    write_json(
        path,
        {
            **provenance(sys.argv),
            "device": str(start.device),
            "gpu": torch.cuda.get_device_name(start.device) if start.device.type == "cuda" else None,
            "dtype": str(start.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "processes": process_group.world_size,
            **({"sharded": True} if process_group.sharded else {}),
            "start_folder": start.folder.name,
            "started_from": run.state().started_from,
            "trained_parameters": sum(value.numel() for value in policy.parameters.values()),
            "seeds": {"run": experiment.seed, "evaluation": experiment.evaluation.seed},
            "reference": {"sha256_at_start": digest, "sha256_at_end": None},
            "overridden_checks": list(run.state().overridden_checks),
        },
    )
    return digest


def finish_provenance(run: Run, reference: str) -> None:
    """Adds the digest of the reference's weights at the end to the record.

    Args:
        run: gets it.
        reference: the digest.

    Raises:
        IntegrityError: the reference's weights changed during training.
    """
    record = read_json(run.layout.provenance)
    record["reference"]["sha256_at_end"] = reference
    write_json(run.layout.provenance, record)
    if record["reference"]["sha256_at_end"] != record["reference"]["sha256_at_start"]:
        raise IntegrityError(f"{run.name}: the reference's weights changed during training.", "Please report this.")


def _record_resume(
    run: Run, first: dict[str, Any], start: StartModel, process_group: ProcessGroup, on_event: EventHandler
) -> None:
    """Adds this continuation to the record, and warns of packages that can change a result."""
    today = provenance(sys.argv)
    packages = {**first["packages"], "python": first["python"]}, {**today["packages"], "python": today["python"]}
    changed = {
        name: [packages[0].get(name), packages[1].get(name)]
        for name in sorted({*packages[0], *packages[1]})
        if packages[0].get(name) != packages[1].get(name)
    }
    if listed := [f"{name} {changed[name][0]} -> {changed[name][1]}" for name in FIRST_PACKAGES if name in changed]:
        text = f"The run started with other package versions ({', '.join(listed)}), so its numbers may differ."
        on_event(Notice(text=text, level="warning"))
    resumes = [
        *first.get("resumes", []),
        {
            "time": now(),
            "updates_done": run.state().updates_done,
            "argv": today["argv"],
            "git": today["git"],
            "machine": today["machine"],
            "device": str(start.device),
            "processes": process_group.world_size,
            **({"sharded": True} if process_group.sharded else {}),
            "start_folder": start.folder.name,
            "changed_packages": changed,
        },
    ]
    write_json(run.layout.provenance, {**first, "resumes": resumes})


def _restore_threads(
    first: dict[str, Any], start: StartModel, process_group: ProcessGroup, on_event: EventHandler
) -> None:
    """Sets the number of threads that the run started with, since it changes the last digits of sums."""
    if start.device.type == "cpu" and torch.get_num_threads() != first["threads"]:
        torch.set_num_threads(first["threads"])
    if str(start.device) != first["device"]:
        text = f"The run started on {first['device']} and continues on {start.device}, so its numbers will differ."
        on_event(Notice(text=text, level="warning"))
    if process_group.world_size != first["processes"]:
        started = f"The run started with {first['processes']} processes and continues with {process_group.world_size}"
        on_event(Notice(text=f"{started}, so its numbers will differ in the last digits.", level="warning"))
    elif process_group.sharded != first.get("sharded", False):
        started, now_so = ("sharded", "unsharded") if first.get("sharded") else ("unsharded", "sharded")
        text = f"The run started {started} and continues {now_so}, so its numbers may differ in the last digits."
        on_event(Notice(text=text, level="warning"))
