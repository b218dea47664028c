"""Simulated comparisons over training seeds: how often equal settings read CHANGED, and how often different ones agree.

Each setting has 1, 3 or 5 seeds. A seed moves the policy's log-odds of a refusal (in probits) by a draw of its own, as
in five seeds of the refusal recipe; all seeds answer the same prompts, each with a tendency of its own that both
settings share. Two settings with the same seeds also share half of the variance of the seed's draw, as runs do that
begin with the same adapters.

- false cause: the settings are equal. How often does `ppo compare` call them CHANGED, and so name a cause?
- coverage: how many 95 % intervals over seeds contain the true difference for these prompts? Where seeds do not vary
  there is no interval; such rounds are left out.
- false agreement: the settings differ by the smallest change that matters. How often does it call them EQUIVALENT?

    python benchmarks/simulate_seeds.py --rounds 500 --to seeds.json
    python benchmarks/simulate_seeds.py --show seeds.json

Not here: comparisons of two checkpoints (`simulate_comparisons`).
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri
from simulate_comparisons import draw_once, matrix

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import MeasureChange, Seeds
from ppo_cli.records.measures import Measure
from ppo_cli.reports.verdicts import verdict_label
from ppo_cli.stats.comparison import compare_groups, with_margin
from ppo_cli.stats.label_matrix import Floats, LabelMatrix
from ppo_cli.stats.seed_variance import MIN_SEEDS, seed_spread

PROMPTS = (10, 20, 60, 252)
SAMPLES = (1, 3)
RATES = (0.02, 0.5, 0.98)
SEEDS = (1, 3, 5)
SEED_NOISE = 0.23
"""Standard deviation of d′ over the seeds of the refusal recipe, in probits."""
TENDENCY = 1.0
"""Standard deviation of the prompts' own tendencies, in probits."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
"""Gauss-Hermite quadrature of a standard normal draw; the weights sum to its square root of 2 pi."""
MARGIN = 5.0
"""Smallest change that matters of refusal.safe, in percentage points."""


def probabilities(tendencies: Floats, rate: float, moved: float = 0.0) -> Floats:
    """Each prompt's probability of a refusal, [prompts], with the mean `rate` over many prompts where not moved."""
    return ndtr(ndtri(rate) * np.sqrt(1 + TENDENCY**2) + TENDENCY * tendencies + moved)


def expected_rate(tendencies: Floats, rate: float) -> float:
    """The mean rate on these prompts over many seeds."""
    at_nodes = [probabilities(tendencies, rate, SEED_NOISE * node).mean() for node in NODES]
    return float(np.dot(at_nodes, WEIGHTS) / WEIGHTS.sum())


def rate_that_differs(tendencies: Floats, rate: float, by: float) -> float:
    """The rate whose mean on these prompts is that of `rate` plus `by`, found by bisection."""
    wanted = expected_rate(tendencies, rate) + by
    low, high = 1e-6, 1 - 1e-6
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_rate(tendencies, middle) < wanted else (low, middle)
    return (low + high) / 2


def runs_of(
    generator: np.random.Generator, prompts: Sequence[Prompt], arm: Floats, draws: Floats, samples: int, name: str
) -> list[LabelMatrix]:
    """One evaluation per seed.

    Args:
        generator: of the answers.
        prompts: that all seeds answer.
        arm: each prompt's tendency under this setting, in probits, [prompts].
        draws: what each seed adds to all of them, [seeds].
        samples: answers per prompt.
        name: told apart in the texts of the answers.
    """
    return [
        matrix(
            prompts,
            {"refused": (generator.random((len(prompts), samples)) < ndtr(arm + draw)[:, None]).astype(float)},
            f"{name}{number}",
        )
        for number, draw in enumerate(draws)
    ]


def simulate(rounds: int, count: int, samples: int, rate: float, seeds: int, *, shared: bool) -> dict[str, float]:
    """Shares of rounds: CHANGED though equal, interval over seeds holds 0, agreement though different."""
    measure = with_margin(measure_named("refusal.safe"), MARGIN)
    prompts = [Prompt(id=f"p{i:04d}", text="x", expect="comply", category="x") for i in range(count)]
    generator = np.random.default_rng([13, count, samples, int(100 * rate), seeds, shared])
    numbers = (range(seeds), range(seeds) if shared else range(seeds, 2 * seeds))
    found: Counter[str] = Counter()
    by = -MARGIN / 100 if rate > 0.5 else MARGIN / 100
    for _ in range(rounds):
        tendencies = generator.normal(size=count)
        common = generator.normal(size=seeds)
        own = generator.normal(size=(2, seeds))
        draws = SEED_NOISE * (np.sqrt(0.5) * (common + own) if shared else own)
        equal, moved = (ndtri(probabilities(tendencies, r)) for r in (rate, rate_that_differs(tendencies, rate, by)))
        before, after, other = (
            runs_of(generator, prompts, arm, draws[which], samples, name)
            for arm, which, name in ((equal, 0, "a"), (equal, 1, "b"), (moved, 1, "c"))
        )
        between, seed_numbers = compare_arms(measure, prompts, before, after, numbers)
        over_seeds = seed_numbers.spreads[0].change
        found["prompts alone"] += between.verdict == "CHANGED"
        found["changed"] += verdict_label(between, seed_numbers) == "CHANGED"
        if over_seeds.low_95 is not None:
            found["with interval"] += 1
            found["covered"] += over_seeds.low_95 <= 0 <= over_seeds.high_95
        different = compare_arms(measure, prompts, before, other, numbers)
        found["agree"] += seeds > 1 and verdict_label(*different) == "EQUIVALENT"
    shares = {name: found[name] / rounds for name in ("changed", "agree", "prompts alone")}
    return shares | ({"covered": found["covered"] / found["with interval"]} if found["with interval"] else {})


def compare_arms(
    measure: Measure,
    prompts: Sequence[Prompt],
    a: Sequence[LabelMatrix],
    b: Sequence[LabelMatrix],
    numbers: tuple[Sequence[int], Sequence[int]],
) -> tuple[MeasureChange, Seeds]:
    """Two settings as `ppo compare` compares them: over prompts, and over the seeds."""
    by_id = {prompt.id: prompt for prompt in prompts}
    comparison = compare_groups(("A", "B"), a, b, [measure], by_id, primary=measure.name, smallest_effect=MARGIN)
    seeds = Seeds(
        before=tuple(f"a{number}" for number in numbers[0]),
        after=tuple(f"b{number}" for number in numbers[1]),
        seeds=(tuple(numbers[0]), tuple(numbers[1])),
        spreads=(seed_spread(measure, a, b, numbers),),
        enough=min(map(len, numbers)) >= MIN_SEEDS,
    )
    return comparison.changes[0], seeds


def table(cells: dict[str, dict[str, float]]) -> str:
    """The rows of docs/simulations.md: per number of seeds, the worst cell and the mean over cells."""
    lines = [
        "| seeds, prompts | cells | CHANGED: mean, most | 95 % interval over seeds covers: mean, least | "
        "agreement though different: mean, most | differs over prompts alone: mean, most |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for seeds, shared, count in itertools.product(SEEDS, ("same", "other"), PROMPTS):
        chosen = [cell for key, cell in cells.items() if key.split(" | ")[:3] == [str(seeds), shared, str(count)]]
        if not chosen:
            continue

        def of(name: str, extreme, rows=chosen) -> str:  # noqa: ANN001 - max or min
            values = [row[name] for row in rows if name in row]
            return f"{np.mean(values):.1%}, {extreme(values):.1%}" if values else "no interval"

        alone = of("prompts alone", max)
        if seeds < MIN_SEEDS:
            lines.append(f"| {seeds}, {count} prompts | {len(chosen)} | never | none | never | {alone} |")
        else:
            lines.append(
                f"| {seeds} {shared}, {count} prompts | {len(chosen)} | {of('changed', max)} | {of('covered', min)} | "
                f"{of('agree', max)} | {alone} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--to", type=Path, default=Path("seeds.json"))
    parser.add_argument("--show", type=Path)
    chosen = parser.parse_args()
    if chosen.show:
        print(table(json.loads(chosen.show.read_text())))
        return
    draw_once()
    cells = json.loads(chosen.to.read_text()) if chosen.to.exists() else {}
    for seeds, shared, count, samples, rate in itertools.product(SEEDS, (True, False), PROMPTS, SAMPLES, RATES):
        key = f"{seeds} | {'same' if shared else 'other'} | {count} | {samples} | {rate}"
        if key not in cells and (seeds > 1 or shared):
            cells[key] = simulate(chosen.rounds, count, samples, rate, seeds, shared=shared)
            chosen.to.write_text(json.dumps(cells, indent=1) + "\n")
            print(key, cells[key], flush=True)
    print(table(cells))


if __name__ == "__main__":
    main()
