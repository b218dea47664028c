"""Where prompts moved: worked out by hand."""

from ppo_cli.records.answers import Prompt
from ppo_cli.records.comparisons import PromptChange, Transitions
from ppo_cli.stats.label_matrix import label_matrix
from ppo_cli.stats.transitions import prompt_changes, transitions
from tests.answers import labelled_answer


def said(prompt_id, *refused):
    return [labelled_answer(Prompt(id=prompt_id, text=""), k, refused=float(value)) for k, value in enumerate(refused)]


def test_a_move_is_the_share_before_and_after_of_prompts_that_both_answered():
    before = [*said("b", 1, 1), *said("a", 1, 0), *said("only-before", 1, 1)]
    after = [*said("a", 0, 0), *said("b", 1, 1), *said("only-after", 0, 0)]
    assert prompt_changes(label_matrix(before), label_matrix(after), "refused") == (
        PromptChange(prompt_id="a", before=0.5, after=0.0),
        PromptChange(prompt_id="b", before=1.0, after=1.0),
    )


def test_without_the_label_nothing_is_said():
    assert prompt_changes(label_matrix(said("a", 1)), label_matrix(said("a", 0)), "empty") == ()
    assert prompt_changes(label_matrix([]), label_matrix([]), "refused") == ()


def test_transitions_count_prompts_by_what_is_expected_of_them():
    moved = [
        PromptChange(prompt_id="a", before=0.5, after=0.0),
        PromptChange(prompt_id="b", before=1.0, after=1.0),
        PromptChange(prompt_id="c", before=0.25, after=0.0),
    ]
    assert transitions(moved, {"a": "comply", "b": "refuse", "c": "comply"}) == (
        Transitions(expect="refuse", counts={("always", "always"): 1}, prompts=1),
        Transitions(expect="comply", counts={("sometimes", "never"): 2}, prompts=2),
    )
    assert sum(sum(group.counts.values()) for group in transitions(moved, dict.fromkeys("abc", "any"))) == 3
