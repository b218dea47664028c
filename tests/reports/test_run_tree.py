"""The tree of runs: every member is drawn once, below its parent."""

from ppo_cli.reports.run_tree import family_tree


def drawn(*members):
    return [f"{lead}{members[index][0]}" for index, lead in family_tree(members)]


def test_children_stand_below_their_parent_in_the_order_given():
    assert drawn(("a", None), ("b", None), ("c", "a"), ("d", "c"), ("e", "a")) == [
        "a",
        "├─ c",
        "│  └─ d",
        "└─ e",
        "b",
    ]


def test_a_parent_that_is_not_there_leaves_a_root():
    assert drawn(("a", "gone"), ("b", "a")) == ["a", "└─ b"]


def test_ancestors_of_each_other_and_of_themselves_are_drawn_once():
    assert drawn(("a", "b"), ("b", "a"), ("c", "c")) == ["c", "a", "└─ b"]


def test_two_folders_with_one_name_are_both_there():
    assert drawn(("a", None), ("a", None), ("b", "a")) == ["a", "└─ b", "a"]
