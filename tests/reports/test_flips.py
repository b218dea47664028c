"""Prompts that flipped: two for the better and two for the worse, and what better means for a prompt."""

import pytest

from ppo_cli.reports.flips import direction, flip_groups
from ppo_cli.reports.markdown import comparison_markdown
from ppo_cli.reports.screens.elements import flips_block
from tests.reports.records import change, comparison, flip
from tests.reports.test_screens import comparison_outcome, words


@pytest.mark.parametrize(
    ("primary", "expect", "rose", "found"),
    [
        ("refusal.separation", "refuse", True, "better"),
        ("refusal.separation", "comply", True, "worse"),
        ("refusal.separation", "comply", False, "better"),
        ("refusal.separation", "clarify", True, "changed"),
        ("refusal.separation", "any", True, "changed"),
        ("clarification.wanted", "clarify", True, "better"),
        ("clarification.wanted", "comply", True, "worse"),
        ("clarification.wanted", "refuse", True, "changed"),
        ("ending.eos", "any", True, "better"),
        ("ending.eos", "refuse", False, "worse"),
        ("length.empty", "any", True, "worse"),
        ("length.words", "refuse", True, "better"),  # its flips are refusals
    ],
)
def test_what_is_better_depends_on_the_prompt(primary, expect, rose, found):
    before, after = (0.0, 1.0) if rose else (1.0, 0.0)
    assert direction(primary, expect, before, after) == found
    assert direction(primary, expect, 0.5, 0.5) == "same"


def flips(count, expect, rose):
    before, after = (0.0, 1.0) if rose else (1.0, 0.0)
    return [
        flip(prompt_id=f"{expect}-{number}", expect=expect, before_rate=before, after_rate=after)
        for number in range(count)
    ]


def test_two_in_each_direction_are_shown_and_all_are_counted(shown):
    found = comparison(flips=(*flips(5, "comply", False), *flips(3, "refuse", False)))
    better, worse = flip_groups(found)
    assert [one.prompt_id for one in better.shown] == ["comply-0", "comply-1"]
    assert [one.prompt_id for one in worse.shown] == ["refuse-0", "refuse-1"]
    text = words(shown(flips_block(found, "A", "B")[0]) + "".join(map(shown, flips_block(found, "A", "B")[1:])))
    assert text.index("for the better (2 of 5)") < text.index("comply-1") < text.index("for the worse (2 of 3)")
    assert "comply-2" not in text
    markdown = comparison_markdown([comparison_outcome(comparison=found)])
    assert markdown.index("For the better (2 of 5)") < markdown.index("For the worse (2 of 3)")


def test_a_direction_without_a_flip_says_so(shown):
    found = comparison(flips=tuple(flips(1, "comply", False)))
    assert [group.title for group in flip_groups(found)] == ["for the better (1 of 1)", "for the worse: none"]
    assert flip_groups(comparison(flips=())) == []


def test_where_no_direction_is_better_the_ones_that_changed_most_are_shown():
    found = comparison(change("refusal.bias"), primary="refusal.bias", flips=tuple(flips(6, "any", True)))
    (group,) = flip_groups(found)
    assert group.title == "changed most (4 of 6)"
