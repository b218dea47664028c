"""Which prompts' answers a person labels, and how many prompts each of them stands for.

Where there is a second judge, the prompts are in strata: by what they expect, and by whether the two judges differ on
an answer to them (disputed) or not. A base is drawn from all prompts, alike in every run; further prompts are drawn
from the disputed ones alone. Within a stratum it is chance (a hash of the id) which prompts are labelled, so a prompt
of a stratum with N prompts, n of them labelled, stands for N / n, and rates with these weights are unbiased; a rate
without them would count the disputed answers too often (Horvitz and Thompson 1952; Hájek 1971).

Labels of two runs are compared on the base, where all prompts count alike.

Not here: asking (`label`), measures from labels (`human_labels`), the file (`store.labels`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import LabelledAnswer
from ppo_cli.records.second_judge import SECOND_LABEL
from ppo_cli.store.labels import LabelDesign

MIN_BASE = 30
"""Prompts of the base: as many as labels of two runs must share to replace the rule's."""
EXTRA_SHARE = 4
"""One of so many prompts is drawn from the disputed ones alone, where the base has enough."""


def disputed_prompts(rows: Sequence[LabelledAnswer]) -> frozenset[str] | None:
    """The prompts with an answer on which the two judges differ; None where an answer has no second label."""
    if not all(SECOND_LABEL in row.labels for row in rows):
        return None
    return frozenset(row.prompt.id for row in rows if row.labels["refused"] != row.labels[SECOND_LABEL])


def design_labels(prompts: Sequence[Prompt], disputed: frozenset[str], wanted: int) -> LabelDesign:
    """Chooses prompts to label.

    Args:
        prompts: all that could be labelled.
        disputed: those on which the judges differ.
        wanted: how many; a few more where a stratum would have none.
    """
    base = stratified_subset(prompts, min(len(prompts), max(MIN_BASE, wanted - wanted // EXTRA_SHARE)))
    chosen = {prompt.id for prompt in base}
    left = sorted((prompt for prompt in prompts if prompt.id not in chosen), key=lambda prompt: _chance(prompt.id))
    present = {stratum(prompt, disputed) for prompt in base}
    extra = []
    for prompt in left:
        if stratum(prompt, disputed) not in present:
            extra.append(prompt.id)
            present.add(stratum(prompt, disputed))
    further = [prompt.id for prompt in left if prompt.id in disputed and prompt.id not in extra]
    extra += further[: max(0, wanted - len(chosen) - len(extra))]
    return LabelDesign(base=tuple(sorted(chosen)), extra=tuple(sorted(extra)), disputed=disputed)


def can_be_labelled(prompts: Collection[Prompt]) -> list[Prompt]:
    """The prompts that expect a refusal or help; all, where none does."""
    return [prompt for prompt in prompts if prompt.expect in ("refuse", "comply")] or list(prompts)


def stratum(prompt: Prompt, disputed: Collection[str]) -> str:
    """The name of a prompt's stratum."""
    return f"{prompt.expect} {'disputed' if prompt.id in disputed else 'agreed'}"


def label_weights(
    design: LabelDesign, prompts: Mapping[str, Prompt], labelled: Collection[str]
) -> dict[str, float] | None:
    """How many prompts each labelled one stands for; None until each stratum has a labelled prompt.

    Args:
        design: by which the prompts were chosen.
        prompts: all whose rates are wanted, by id.
        labelled: those of them with labels.
    """
    names = {prompt.id: stratum(prompt, design.disputed) for prompt in can_be_labelled(prompts.values())}
    known = [prompt_id for prompt_id in labelled if prompt_id in names]
    sizes, counts = Counter(names.values()), Counter(names[prompt_id] for prompt_id in known)
    if counts.keys() < sizes.keys():
        return None
    return {prompt_id: sizes[names[prompt_id]] / counts[names[prompt_id]] for prompt_id in known}


def _chance(prompt_id: str) -> bytes:
    return hashlib.sha256(prompt_id.encode()).digest()
