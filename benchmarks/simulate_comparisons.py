"""Simulated comparisons: how often `ppo compare` reports a change that is chance, and how often its intervals cover.

Six questions, answered with the functions that the command uses:

- false alarms: both arms are one policy, sampled twice. In how many comparisons is the primary measure CHANGED, and in
  how many any other headline?
- coverage: the arms differ by a known amount. How many 95 % intervals contain it?
- equivalence: if that amount were the smallest that matters, how many 90 % intervals would lie within it, so that a
  difference that matters would be called EQUIVALENT?
- ends: the same two for rates near 0 and 1 and few prompts, whose answers are more or less alike.
- flips: how many prompts flip by chance, and how many the comparison says would?
- clusters: the topics of the prompts change on their own. How many intervals contain no change, and how many swap tests
  see one, with `evaluation.cluster` and without?

Each prompt has its own probability of a refusal and its own typical length, common to both arms; an answer is a draw.

    python benchmarks/simulate_comparisons.py alarms --rounds 1000 --begin 0 --to alarms-0.json
    python benchmarks/simulate_comparisons.py coverage --rounds 1000 --prompts 60 --to coverage-60.json
    python benchmarks/simulate_comparisons.py ends --rounds 1000 --prompts 20 --to ends-20.json
    python benchmarks/simulate_comparisons.py flips --rounds 300 --prompts 120 --to flips-120.json
    python benchmarks/simulate_comparisons.py clusters --rounds 300 --to clusters.json
    python benchmarks/simulate_comparisons.py show alarms-*.json coverage-*.json

Not here: the effect of the training seed, which no interval over prompts covers.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, ndtr, ndtri
from scipy.stats import beta

from ppo_cli.behaviours.measures import HEADLINES, measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.stats import intervals, resampling
from ppo_cli.stats.comparison import MIN_FLIP_SHARE, compare, expected_flip_rate
from ppo_cli.stats.intervals import paired_difference
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.measure_statistics import PromptStatistics

SPREAD = 1.5
"""Standard deviation of the prompts' log-odds of being refused; about that of the refusal experiment."""
PRIMARIES = ("refusal.separation", "refusal.safe", "length.tokens", "ending.eos")
SAMPLES = (1, 4)
ALIKE = (0.0, 0.3, 0.8)
"""Correlations between the answers to one prompt that rates near 0 and 1 are simulated with."""
RATE_PAIRS = ((0.02, 0.02), (0.02, 0.07), (0.5, 0.5), (0.5, 0.55), (0.98, 0.98), (0.98, 0.93))
"""Rates of A and B; where they differ, by the smallest change that matters."""
SEPARATION_PAIRS = (((0.98, 0.02), 0.0), ((0.98, 0.02), -0.3), ((0.98, 0.5), -0.3), ((0.5, 0.5), -0.3))
"""Refusal rates of A on unsafe and safe prompts, and how much lower d′ of B is, by its rate on unsafe prompts."""


TOPICS = (
    ("refusal.safe", "all safe", 8, 15, 0.2),
    ("refusal.safe", "all safe", 12, 10, 0.2),
    ("refusal.safe", "all safe", 20, 6, 0.15),
    ("refusal.safe", "all safe", 20, 12, 0.15),
    ("refusal.safe", "all safe", 20, 6, 0.0),
    ("refusal.separation", "one kind per topic", 20, 6, 0.15),
    ("refusal.separation", "both kinds in each topic", 20, 6, 0.15),
    ("refusal.bias", "one kind per topic", 20, 6, 0.15),
    ("refusal.bias", "both kinds in each topic", 20, 6, 0.15),
    ("length.tokens", "all safe", 20, 6, 0.15),
)
"""Measure, kinds of prompt, topics, prompts per topic, standard deviation of a topic's own change of its rate."""


def made_prompts(count: int) -> list[Prompt]:
    """Two of three prompts should be answered, as in the refusal experiment."""
    expects = ["refuse" if index % 3 == 0 else "comply" for index in range(count)]
    return [
        Prompt(
            id=f"p{index:04d}",
            text="x",
            category="unsafe.x" if expect == "refuse" else ("scary.x", "plain.x")[index % 2],
            expect=expect,
        )
        for index, expect in enumerate(expects)
    ]


def prompt_parameters(
    generator: np.random.Generator, prompts: Sequence[Prompt], shift: float = 0.0, spread: float = 0.0
) -> tuple[Floats, Floats]:
    """Log-odds of a refusal and log of the typical length, of arm A and of arm B: each [2, prompts]."""
    unsafe = np.array([prompt.expect == "refuse" for prompt in prompts])
    base = np.where(unsafe, 1.5, -0.5) + SPREAD * generator.normal(size=len(prompts))
    moved = base + np.where(unsafe, shift, -shift) + spread * generator.normal(size=len(prompts))
    length = 3.0 + 0.5 * generator.normal(size=len(prompts))
    longer = length + 0.1 * shift + 0.1 * spread * generator.normal(size=len(prompts))
    return np.stack([base, moved]), np.stack([length, longer])


def drawn_labels(generator: np.random.Generator, log_odds: Floats, lengths: Floats, samples: int) -> dict[str, Floats]:
    """The labels of the answers: name to [prompts, samples]."""
    shape = (len(log_odds), samples)
    refused = (generator.random(shape) < expit(log_odds)[:, None]).astype(float)
    tokens = np.clip(np.rint(np.exp(lengths[:, None] + 0.4 * generator.normal(size=shape))), 1, 60)
    return {
        "refused": refused,
        "tokens": tokens,
        "ended": (generator.random(shape) < 0.9).astype(float),
        "empty": (generator.random(shape) < 0.01).astype(float),
        "repetition": np.where(generator.random(shape) < 0.1, generator.random(shape), 0.0),
    }


def alarms(rounds: int, begin: int, count: int) -> dict[str, Any]:
    """Verdicts of comparisons of a policy with itself, counted by primary and samples per prompt."""
    prompts = made_prompts(count)
    by_id = {prompt.id: prompt for prompt in prompts}
    simulated = drawn_labels(np.random.default_rng(0), np.zeros(1), np.ones(1), 1)
    measures = [measure for measure in HEADLINES if measure.label in simulated]
    counts: Counter[str] = Counter()
    for number in range(begin, begin + rounds):
        generator = np.random.default_rng([7, number])
        primary, samples = PRIMARIES[number % len(PRIMARIES)], SAMPLES[number // len(PRIMARIES) % len(SAMPLES)]
        log_odds, lengths = prompt_parameters(generator, prompts)
        a, b = (matrix(prompts, drawn_labels(generator, log_odds[0], lengths[0], samples), text) for text in "ab")
        result = compare(("a", "b"), a, b, measures, by_id, primary=primary, smallest_effect=5.0)
        verdicts = {change.name: change.verdict for change in result.changes}
        key = f"{count} prompts x {samples}, {primary}"
        counts[f"{key}: comparisons"] += 1
        counts[f"{key}: {verdicts.pop(primary)}"] += 1
        counts[f"{key}: another headline CHANGED"] += "CHANGED" in verdicts.values()
    return {"type": "alarms", "prompts": count, "rounds": rounds, "begin": begin, "counts": dict(counts)}


def coverage(rounds: int, count: int) -> dict[str, Any]:
    """Shares of intervals that contain the true difference, or wrongly lie within it, by measure and samples."""
    prompts = made_prompts(count)
    shift, spread = 0.5, 0.5
    truth = true_differences(shift, spread)
    covered: Counter[str] = Counter()
    equivalent: Counter[str] = Counter()
    for number in range(rounds):
        generator = np.random.default_rng([8, count, number])
        log_odds, lengths = prompt_parameters(generator, prompts, shift, spread)
        for samples in SAMPLES:
            a, b = (
                matrix(prompts, drawn_labels(generator, log_odds[arm], lengths[arm], samples), "ab"[arm])
                for arm in range(2)
            )
            for name, value in truth.items():
                result = paired_difference(measure_named(name), a, b)
                low_90, high_90 = result.interval_90
                covered[f"{name} x {samples}"] += result.low_95 <= value <= result.high_95
                equivalent[f"{name} x {samples}"] += -abs(value) < low_90 and high_90 < abs(value)
    shares, wrong = ({key: hits / rounds for key, hits in counts.items()} for counts in (covered, equivalent))
    return {"type": "coverage", "prompts": count, "rounds": rounds, "covered": shares, "wrongly equivalent": wrong}


def true_differences(shift: float, spread: float) -> dict[str, float]:
    """B - A over a population of prompts so large that its size does not matter."""
    prompts = made_prompts(600_000)
    generator = np.random.default_rng(9)
    log_odds, lengths = prompt_parameters(generator, prompts, shift, spread)
    unsafe = np.array([prompt.expect == "refuse" for prompt in prompts])
    hits, false_alarms = (expit(log_odds[:, kind]).mean(axis=1) for kind in (unsafe, ~unsafe))
    noise = 0.4 * generator.normal(size=lengths.shape)
    tokens = np.log(np.clip(np.rint(np.exp(lengths + noise)), 1, 60)).mean(axis=1)
    return {
        "refusal.separation": float(np.diff(ndtri(hits) - ndtri(false_alarms))[0]),
        "refusal.bias": float(np.diff(ndtri(hits) + ndtri(false_alarms))[0] / 2),
        "refusal.safe": float(np.diff(false_alarms)[0]),
        "refusal.unsafe": float(np.diff(hits)[0]),
        "length.tokens": float(np.diff(tokens)[0]),
    }


def ends(rounds: int, count: int) -> dict[str, Any]:
    """Coverage and wrong equivalence for rates near 0 and 1: the worst of ALIKE, by measure, rates and samples."""
    worst: dict[str, dict[str, float]] = {"covered": {}, "wrongly equivalent": {}}
    half = [Prompt(id=f"p{i:04d}", text="x", expect=("refuse", "comply")[i % 2], category="x") for i in range(count)]
    safe = [Prompt(id=f"p{i:04d}", text="x", expect="comply", category="x") for i in range(count)]
    cases = [("refusal.safe", safe, ((a, a), (b, b)), b - a, 0.05) for a, b in RATE_PAIRS]
    for (hits, alarms), lower in SEPARATION_PAIRS:
        after = (float(ndtr(ndtri(hits) + lower)), alarms)
        cases.append(("refusal.separation", half, ((hits, alarms), after), lower, 0.3))
    for (name, prompts, rates, truth, margin), samples, alike in itertools.product(cases, (1, 3), ALIKE):
        generator = np.random.default_rng([10, count, samples, int(100 * alike)])
        unsafe = np.array([prompt.expect == "refuse" for prompt in prompts])
        covered = equivalent = 0
        for _ in range(rounds):
            places = generator.random(count)  # of each prompt among the others, the same for A and B
            a, b = (
                labels_at(generator, prompts, places, np.where(unsafe, *arm), alike, samples, text)
                for arm, text in zip(rates, "ab", strict=True)
            )
            result = paired_difference(measure_named(name), a, b)
            if result is None:  # d′ of a policy that refuses all or nothing
                covered += 1
                continue
            covered += result.low_95 - 1e-9 <= truth <= result.high_95 + 1e-9
            equivalent += result.interval_90[0] > -margin and result.interval_90[1] < margin
        key = f"{name} {rates[0][0]:g}, {rates[0][1]:g}, change {truth:+.2f} x {samples}"
        if name == "refusal.safe":
            key = f"{name} {rates[0][1]:g} to {rates[1][1]:g} x {samples}"
        worst["covered"][key] = min(worst["covered"].get(key, 1.0), covered / rounds)
        if truth:
            highest = worst["wrongly equivalent"].get(key, 0.0)
            worst["wrongly equivalent"][key] = max(highest, equivalent / rounds)
    return {"type": "ends", "prompts": count, "rounds": rounds, **worst}


def labels_at(
    generator: np.random.Generator,
    prompts: Sequence[Prompt],
    places: Floats,
    rates: Floats,
    alike: float,
    samples: int,
    text: str,
) -> LabelMatrix:
    """Refusals of prompts whose own rates are from a beta distribution, each at its place in it."""
    own = rates if alike == 0 else beta.ppf(places, rates * (1 / alike - 1), (1 - rates) * (1 / alike - 1))
    refused = (generator.random((len(prompts), samples)) < own[:, None]).astype(float)
    return matrix(prompts, {"refused": refused}, text)


def flips(rounds: int, count: int) -> dict[str, Any]:
    """Prompts that flip between two samplings of one policy, and how many were expected, by samples per prompt."""
    prompts, shares = made_prompts(count), {}
    for samples in (2, 3, 4, 8):
        found, expected = 0.0, 0.0
        for number in range(rounds):
            generator = np.random.default_rng([11, count, samples, number])
            log_odds, lengths = prompt_parameters(generator, prompts)
            a, b = (drawn_labels(generator, log_odds[0], lengths[0], samples)["refused"] for _ in range(2))
            found += float((np.abs(a.mean(axis=1) - b.mean(axis=1)) >= MIN_FLIP_SHARE).mean()) / rounds
            expected += (expected_flip_rate(a) or 0.0) / rounds
        shares[str(samples)] = {"flipped": found, "expected": expected}
    return {"type": "flips", "prompts": count, "rounds": rounds, "shares": shares}


def clusters(rounds: int, count: int) -> dict[str, Any]:  # noqa: ARG001 - each case has its own number of prompts
    """How often intervals contain no change, and swap tests see one, with clusters and without, by case."""
    rows = {}
    for name, kinds, topics, size, spread in TOPICS:
        generator, prompts = np.random.default_rng([12, topics, size]), topics * size
        number = np.arange(prompts)
        unsafe = {"one kind per topic": number // size % 2, "both kinds in each topic": number % 2}.get(
            kinds, 0 * number
        )
        asked = [
            Prompt(id=f"p{i:04d}", text="x", category=f"topic.{i // size}", expect=("comply", "refuse")[unsafe[i]])
            for i in number
        ]
        found: Counter[str] = Counter()
        for _ in range(rounds):
            moved = np.repeat(generator.normal(0, spread, topics), size)[:, None]
            arms = []
            for text, sign in (("a", -0.5), ("b", 0.5)):
                refused = (generator.random((prompts, 3)) < 0.5 + sign * moved).astype(float)
                arms.append(matrix(asked, {"refused": refused, "tokens": 5 + refused}, text))
            for by in ("category", None):
                one, other = (arm.clustered(by, {}) for arm in arms)
                result = paired_difference(measure_named(name), one, other)
                found[f"covered {by}"] += result.low_95 <= 0 <= result.high_95
                found[f"seen {by}"] += result.p_value < 0.05
        rows[f"{name}, {kinds} | {topics} x {size} | {spread:g}"] = [
            found[key] / rounds for key in ("covered category", "covered None", "seen category", "seen None")
        ]
    return {"type": "clusters", "rounds": rounds, "rows": rows}


def matrix(prompts: Sequence[Prompt], labels: dict[str, Floats], text: str = "") -> LabelMatrix:
    """A policy's labels; two policies whose answers are other words must have other texts."""
    return LabelMatrix(
        prompt_ids=tuple(prompt.id for prompt in prompts),
        categories=tuple(prompt.category for prompt in prompts),
        expects=tuple(prompt.expect for prompt in prompts),
        labels=labels,
        texts=tuple((text,) * next(iter(labels.values())).shape[1] for _ in prompts),
    )


def show(files: Sequence[str]) -> None:
    """The tables of docs/simulations.md."""
    parts = [json.loads(Path(file).read_text()) for file in files]
    counts: Counter[str] = Counter()
    for part in parts:
        if part["type"] == "alarms":
            counts.update(part["counts"])
    total = sum(count for key, count in counts.items() if key.endswith(": comparisons"))
    changed = sum(count for key, count in counts.items() if key.endswith(": CHANGED"))
    other = sum(count for key, count in counts.items() if key.endswith("another headline CHANGED"))
    if total:
        print(
            f"{total} comparisons: primary CHANGED {changed / total:.2%}, another headline CHANGED {other / total:.2%}"
        )
    print(
        "\n| prompts x samples, primary | comparisons | CHANGED | another headline CHANGED |\n| --- | --- | --- | --- |"
    )
    for key in sorted({key.split(":")[0] for key in counts}, key=lambda key: (int(key.split()[0]), key)):
        n = counts[f"{key}: comparisons"]
        own, others = counts[f"{key}: CHANGED"] / n, counts[f"{key}: another headline CHANGED"] / n
        print(f"| {key} | {n} | {own:.2%} | {others:.2%} |")
    for kind, what in itertools.product(("coverage", "ends"), ("covered", "wrongly equivalent")):
        by_size = {part["prompts"]: part[what] for part in parts if part["type"] == kind}
        sizes = sorted(by_size)
        headings = " | ".join(f"{size} prompts" for size in sizes)
        print(f"\n| measure x samples | {headings} |\n|{' --- |' * (len(sizes) + 1)}")
        for key in sorted({key for shares in by_size.values() for key in shares}):
            print(f"| {key} | {' | '.join(f'{by_size[size][key]:.1%}' for size in sizes)} |")
    _show_flips_and_clusters(parts)


def _show_flips_and_clusters(parts: Sequence[dict[str, Any]]) -> None:
    for part in parts:
        if part["type"] == "clusters":
            for key, (*covered, seen, alone) in part["rows"].items():
                print(f"| {key} | {covered[0]:.1%} | {covered[1]:.1%} | {seen:.1%}, {alone:.1%} |")
        if part["type"] == "flips":
            print(f"\n| answers per prompt | flipped of {part['prompts']} | expected |\n| --- | --- | --- |")
            for samples, share in part["shares"].items():
                flipped, expected = (share[name] * part["prompts"] for name in ("flipped", "expected"))
                print(f"| {samples} | {flipped:.1f} | {expected:.1f} ({expected / flipped - 1:+.0%}) |")


def draw_once() -> None:
    """Caches the resamples: they are the same in every comparison of as many prompts, so no number changes."""
    weights, swaps = intervals.bootstrap_weights, functools.cache(intervals.random_swaps)
    cached: dict[tuple[str, bytes, bytes | None], Floats] = {}

    def cached_weights(statistics: PromptStatistics, owner: str) -> Floats:
        key = (
            owner,
            statistics.strata.tobytes(),
            None if statistics.clusters is None else statistics.clusters.tobytes(),
        )
        if key not in cached:
            cached[key] = weights(statistics, owner)
        return cached[key]

    intervals.bootstrap_weights = cached_weights
    intervals.random_swaps = resampling.random_swaps = swaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["alarms", "coverage", "ends", "flips", "clusters", "show"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--begin", type=int, default=0)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--to", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "show":
        show(chosen.files)
        return
    draw_once()
    started = time.perf_counter()
    simulate = {"coverage": coverage, "ends": ends, "flips": flips, "clusters": clusters}
    result = (
        alarms(chosen.rounds, chosen.begin, chosen.prompts)
        if chosen.what == "alarms"
        else simulate[chosen.what](chosen.rounds, chosen.prompts)
    )
    result["seconds"] = round(time.perf_counter() - started, 1)
    text = json.dumps(result, indent=1)
    print(text)
    if chosen.to:
        chosen.to.write_text(text + "\n")


if __name__ == "__main__":
    main()
