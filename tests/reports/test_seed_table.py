"""Sentences about several seeds per setting."""

import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.records.comparisons import Seeds, SeedSpread
from ppo_cli.reports.seed_table import seeds_sentence
from ppo_cli.stats.seed_test import no_test
from tests.reports.records import comparison

SAFE = measure_named("refusal.safe")


def seeds_of(before, after):
    change = no_test(after[0] - before[0]).as_over_seeds(SAFE)
    spread = SeedSpread(name=SAFE.name, before=before, after=after, paired=False, change=change)
    names = [
        tuple(f"{side}{number}" for number in range(len(values))) for side, values in (("a", before), ("b", after))
    ]
    numbers = (tuple(range(len(before))), tuple(range(len(after))))
    return Seeds(before=names[0], after=names[1], seeds=numbers, spreads=(spread,), enough=True)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ((0.5, 0.5, 0.5), (0.4, 0.4, 0.4), "all seeds show the same difference"),
        ((0.5, 0.6, 0.7), (0.4,), "a setting has one seed only"),
    ],
)
def test_without_an_interval_over_seeds_the_reason_stands_there(before, after, why):
    sentence = seeds_sentence(seeds_of(before, after), comparison(primary=SAFE.name), "DIFFERS (3 seeds)", ["kl.coef"])
    assert sentence == f"Over {len(before)} and {len(after)} seeds: seed noise is unknown, because {why}."
