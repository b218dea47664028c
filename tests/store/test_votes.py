"""votes.jsonl: appended by several people at one time, never rewritten."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ppo_cli.errors import IntegrityError, UsageError
from ppo_cli.store.votes import add_vote, read_votes
from tests.stats.test_win_rate import votes


@pytest.fixture
def vote():
    return replace(votes(["after"])[0], voter="ann", answer_after="ü \x1b[31m\u2028", turns=("a", "b"))


def test_a_vote_comes_back_as_it_was_given(tmp_path, vote):
    path = tmp_path / "votes.jsonl"
    add_vote(path, vote)
    add_vote(path, replace(vote, vote="tie"))
    assert read_votes(path) == [vote, replace(vote, vote="tie")]
    assert [json.loads(line)["voter"] for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == ["ann", "ann"]
    assert read_votes(tmp_path / "none.jsonl") == []


def test_people_who_vote_at_one_time_lose_no_vote(tmp_path, vote):
    """Rows longer than a pipe's or a buffer's size, from four threads, each with a file of its own."""
    path = tmp_path / "votes.jsonl"

    def give(person):
        for number in range(12):
            add_vote(path, replace(vote, voter=f"{person}-{number}", answer_before=str(person) * 40_000))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(give, range(4)))
    kept = read_votes(path)
    assert {row.voter for row in kept} == {f"{person}-{number}" for person in range(4) for number in range(12)}
    assert len(kept) == 48


def test_a_line_that_a_crash_cut_off_is_replaced_and_the_whole_ones_stay(tmp_path, vote):
    path = tmp_path / "votes.jsonl"
    add_vote(path, vote)
    before = path.read_bytes()
    path.write_bytes(before + before[:-20])
    assert read_votes(path) == [vote]
    add_vote(path, replace(vote, voter="bob"))
    assert path.read_bytes().startswith(before)
    assert [row.voter for row in read_votes(path)] == ["ann", "bob"]


@pytest.mark.parametrize("change", [{"vote": "both"}, {"turns": []}, {"voter": 3}, {"more": 1}, {"before": {}}])
def test_a_row_that_is_no_vote_is_named(tmp_path, vote, change):
    path = tmp_path / "votes.jsonl"
    add_vote(path, vote)
    row = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(IntegrityError, match="line 1 is not a vote"):
        read_votes(path)


def test_nothing_is_written_through_a_link(tmp_path, vote):
    target = tmp_path / "elsewhere"
    target.write_text("mine", encoding="utf-8")
    (tmp_path / "votes.jsonl").symlink_to(target)
    with pytest.raises(UsageError, match="is a link"):
        add_vote(tmp_path / "votes.jsonl", vote)
    assert target.read_text(encoding="utf-8") == "mine"


def test_half_a_character_of_a_model_can_be_kept(tmp_path, vote):
    path = tmp_path / "votes.jsonl"
    add_vote(path, replace(vote, answer_after="x\ud83d"))
    assert read_votes(path)[0].answer_after == "x\ud83d"
