"""The command `ppo prompts`: what a file of prompts holds, before anything is made from it.

Not here: reading (`prompts`), splitting into training and evaluation (`setup.user_dataset`), the checks of a config's
own sets (`prompt_checks`).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.alarms.narrow_data import TOPIC_SIMILARITY
from ppo_cli.errors import PromptError
from ppo_cli.experiment.load import load_experiment
from ppo_cli.models.cost_estimate import guess_token_count
from ppo_cli.prompts.leakage import Overlap, comparable_texts, normalise, overlaps
from ppo_cli.prompts.preference_pairs import holds_pairs, read_pair_file
from ppo_cli.prompts.sources import HUB
from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt
from ppo_cli.records.prompt_report import AlikePrompts, KindCount, Leak, Lengths, PromptReport
from ppo_cli.setup.user_dataset import EMPTY, MAX_PROMPTS, NEAR_DUPLICATE_SIMILARITY, read_user_prompts
from ppo_cli.text.content_words import common_words
from ppo_cli.text.languages import language_of
from ppo_cli.text.similarity import count_topics, near_duplicate_pairs
from ppo_cli.text.words import words

EXAMPLES = 3
"""Pairs of ids that are shown of prompts that are alike."""
COMMON_WORDS = 20
CONFIGS = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class _ReadPrompts:
    """Prompts as they were read."""

    prompts: list[Prompt]
    format: str
    rows: int
    notices: tuple[str, ...]
    are_pairs: bool = False


def describe_prompts(source: str | Path, *, against: Sequence[str | Path] = ()) -> PromptReport:
    """Reads prompts as every other command does, and says what is in them.

    Args:
        source: a file of any form, or hf:NAME[:SPLIT]; preference pairs are described by their prompts.
        against: other files of prompts, or configs, whose sets are compared with it.

    Raises:
        PromptError: it cannot be read, or holds no prompt.
        ConfigError: a config cannot be read.

    Example:
        >>> report = describe_prompts("prompts.csv", against=["my-exp/experiment.yaml"])
        >>> report.prompts
        140
    """
    source = str(source)
    read = _read(source)
    prompts = read.prompts
    texts = comparable_texts(prompts)
    same = _repeated(prompts, texts)
    sample = stratified_subset(prompts, MAX_PROMPTS)
    sampled = (
        [] if len(sample) == len(prompts) else [f"Near-duplicates and topics are counted in {MAX_PROMPTS} prompts."]
    )
    sample_texts = comparable_texts(sample)
    return PromptReport(
        source=source,
        format=read.format,
        rows=read.rows,
        prompts=len(prompts),
        left_out=((EMPTY, read.rows - len(prompts)),) if read.rows > len(prompts) else (),
        notices=(*read.notices, *sampled),
        parts=_parts(read),
        languages=tuple(Counter(language_of(text) for text in texts).most_common()),
        lengths=_lengths(prompts),
        repeated=same,
        near_duplicates=_near_duplicates(sample, sample_texts),
        topics=count_topics(tuple(sample_texts), TOPIC_SIMILARITY),
        kinds=_kinds(prompts),
        common_words=tuple(common_words(texts, COMMON_WORDS)),
        leaks=tuple(leak for other in against for leak in _leaks(prompts, source, str(other))),
    )


def _read(source: str) -> _ReadPrompts:
    if not source.startswith(HUB) and holds_pairs(Path(source)):
        file = read_pair_file(Path(source))
        prompts = [pair.prompt for pair in file.pairs]
        return _ReadPrompts(prompts=prompts, format="pairs", rows=len(prompts), notices=file.notices, are_pairs=True)
    read = read_user_prompts(source)
    return _ReadPrompts(prompts=read.prompts, format=read.format, rows=read.rows, notices=tuple(read.notices))


def _parts(read: _ReadPrompts) -> tuple[tuple[str, int], ...]:
    prompts = read.prompts
    counts = {
        "preference pairs": len(prompts) if read.are_pairs else 0,
        "conversations of several turns": sum(
            sum(turn.role != "system" for turn in prompt.messages) > 1 for prompt in prompts
        ),
        "with a system turn": sum(any(turn.role == "system" for turn in prompt.messages) for prompt in prompts),
        "with a written answer": sum(prompt.answer is not None for prompt in prompts),
        "with keywords": sum(bool(prompt.keywords) for prompt in prompts),
        "with a pair_id": sum(prompt.pair_id is not None for prompt in prompts),
    }
    return tuple((what, count) for what, count in counts.items() if count)


def _lengths(prompts: Sequence[Prompt]) -> Lengths:
    counts = [len(words(prompt.text)) for prompt in prompts]
    ordered = sorted(counts)
    longest = max(prompts, key=lambda prompt: guess_token_count(prompt.text))
    return Lengths(
        shortest=ordered[0],
        median=statistics.median(ordered),
        nine_in_ten=ordered[(9 * len(ordered) + 9) // 10 - 1],
        longest=ordered[-1],
        longest_id=longest.id,
        longest_tokens=round(guess_token_count(longest.text)),
    )


def _repeated(prompts: Sequence[Prompt], texts: Sequence[str]) -> AlikePrompts:
    first: dict[str, Prompt] = {}
    repeats = []
    for prompt, text in zip(prompts, texts, strict=True):
        known = first.setdefault(normalise(text) or text, prompt)
        if known is not prompt:
            repeats.append((known.id, prompt.id))
    return AlikePrompts(count=len(repeats), examples=tuple(repeats[:EXAMPLES]))


def _near_duplicates(prompts: Sequence[Prompt], texts: Sequence[str]) -> AlikePrompts:
    pairs = [
        (prompts[one].id, prompts[other].id)
        for one, other in near_duplicate_pairs(texts, NEAR_DUPLICATE_SIMILARITY)
        if normalise(texts[one]) != normalise(texts[other])
    ]
    return AlikePrompts(count=len(pairs), examples=tuple(pairs[:EXAMPLES]))


def _kinds(prompts: Sequence[Prompt]) -> tuple[KindCount, ...]:
    counts = Counter((prompt.category, prompt.expect) for prompt in prompts)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(KindCount(category=kind[0], expect=kind[1], count=count) for kind, count in ordered)


def _leaks(prompts: Sequence[Prompt], source: str, other: str) -> list[Leak]:
    """The prompts that another file, or each other set of a config, has too."""
    if Path(other).suffix not in CONFIGS:
        return [_leak(prompts, other, _read(other).prompts)]
    experiment = load_experiment(other).experiment
    sets = {
        "prompts.train": experiment.prompts.train,
        "prompts.eval": experiment.prompts.eval,
        "model.warm_start": experiment.model.warm_start,
    }
    others = {key: file for key, file in sets.items() if file is not None and not _is_same_file(file, source)}
    if not others:
        raise PromptError(f"{other} names no other set of prompts than {source}.", "Name another file or config.")
    return [_leak(prompts, f"{key} ({file})", _read(file).prompts) for key, file in others.items()]


def _leak(prompts: Sequence[Prompt], against: str, others: Sequence[Prompt]) -> Leak:
    found = overlaps(prompts, others)
    near = [overlap for overlap in found if overlap.kind == "near-duplicate"]
    return Leak(
        against=against,
        prompts=len(others),
        shared=_alike([overlap for overlap in found if overlap.kind != "near-duplicate"]),
        near=_alike(near),
    )


def _alike(found: Sequence[Overlap]) -> AlikePrompts:
    """Of overlaps, the number of prompts that have one, and the ids of some."""
    first = {overlap.eval_id: overlap.other_id for overlap in reversed(found)}
    examples = list(reversed(first.items()))[:EXAMPLES]
    return AlikePrompts(count=len(first), examples=tuple(examples))


def _is_same_file(file: str, source: str) -> bool:
    return Path(file).exists() and Path(source).exists() and Path(file).samefile(source)
