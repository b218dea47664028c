"""The interim subset: fixed, stratified, stable."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.prompts.stratify import stratified_subset
from ppo_cli.records.answers import Prompt


def prompts(counts):
    return [
        Prompt(id=f"{category}{number}", text="t", category=category)
        for category, count in counts.items()
        for number in range(count)
    ]


def test_shares_follow_the_categories():
    chosen = stratified_subset(prompts({"a": 60, "b": 30, "c": 10}), 20)
    assert Counter(prompt.category for prompt in chosen) == {"a": 12, "b": 6, "c": 2}


def test_zero_or_too_many_takes_all():
    rows = prompts({"a": 3})
    assert stratified_subset(rows, 0) == rows
    assert stratified_subset(rows, 9) == rows


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 20), min_size=1), st.integers(1, 60))
def test_size_order_and_repeatability(counts, size):
    rows = prompts(counts)
    chosen = stratified_subset(rows, size)
    assert len(chosen) == min(size, len(rows))
    assert chosen == [row for row in rows if row in chosen]
    assert chosen == stratified_subset(rows, size)
    if size < len(rows):
        for category, count in counts.items():
            share = sum(row.category == category for row in chosen)
            assert abs(share - size * count / len(rows)) < 1
