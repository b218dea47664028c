"""A split keeps together what belongs together, keeps each stratum's share, and depends on the texts alone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ppo_cli.prompts.leakage import overlaps
from ppo_cli.prompts.split import split, stratum
from ppo_cli.records.answers import Prompt
from ppo_cli.text.similarity import near_duplicate_pairs

EXPECTS = ("refuse", "comply")


@st.composite
def sets(draw):
    """Prompts of a few strata, some in pairs, some linked to others."""
    size = draw(st.integers(2, 60))
    prompts = [
        Prompt(
            id=f"p-{index}",
            text=f"prompt number {index}",
            category=draw(st.sampled_from("abc")),
            expect=draw(st.sampled_from(EXPECTS)),
            pair_id=draw(st.sampled_from([None, None, None, *(f"pair-{number}" for number in range(size // 3))])),
        )
        for index in range(size)
    ]
    indices = st.integers(0, size - 1)
    alike = draw(st.lists(st.tuples(indices, indices), max_size=size // 4))
    learnt = draw(st.sets(indices, max_size=size // 4))
    return prompts, alike, learnt, draw(st.floats(0.05, 0.95))


def ids(prompts):
    return [prompt.id for prompt in prompts]


@given(sets())
def test_every_prompt_is_on_one_side_and_in_its_order(given_set):
    prompts, alike, learnt, share = given_set
    result = split(prompts, share, alike=alike, learnt=learnt)
    sides = set(ids(result.train)), set(ids(result.evaluation))
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(ids(prompts))
    for side, side_ids in zip((result.train, result.evaluation), sides, strict=True):
        assert ids(side) == [prompt.id for prompt in prompts if prompt.id in side_ids]


@given(sets())
def test_what_belongs_together_stays_together_and_what_is_learnt_never_evaluates(given_set):
    prompts, alike, learnt, share = given_set
    result = split(prompts, share, alike=alike, learnt=learnt)
    asked = set(ids(result.evaluation))
    for one, other in alike:
        assert (prompts[one].id in asked) == (prompts[other].id in asked)
    for pair in {prompt.pair_id for prompt in prompts if prompt.pair_id}:
        assert len({prompt.id in asked for prompt in prompts if prompt.pair_id == pair}) == 1
    assert not asked & {prompts[index].id for index in learnt}


@given(sets(), st.randoms())
def test_neither_order_nor_ids_matter(given_set, random):
    prompts, _, _, share = given_set
    first = split(prompts, share)
    order = list(range(len(prompts)))
    random.shuffle(order)
    moved = [
        Prompt(id=f"x-{index}", text=prompts[index].text, category=prompts[index].category,
               expect=prompts[index].expect, pair_id=prompts[index].pair_id)
        for index in order
    ]  # fmt: skip
    second = split(moved, share)
    assert {prompt.text for prompt in second.evaluation} == {prompt.text for prompt in first.evaluation}


@given(sets())
def test_single_prompts_give_exactly_each_stratums_share(given_set):
    prompts, _, _, share = given_set
    single = [Prompt(id=p.id, text=p.text, category=p.category, expect=p.expect) for p in prompts]
    result = Counter(map(stratum, split(single, share).evaluation))
    for kind, size in Counter(map(stratum, single)).items():
        assert abs(result[kind] - share * size) < 1 + 1e-3 * size
    assert abs(sum(result.values()) - share * len(single)) <= 0.5 + 1e-3 * len(single)


@given(sets())
def test_groups_miss_their_share_by_no_more_than_their_size(given_set):
    prompts, alike, _, share = given_set
    result = split(prompts, share, alike=alike)
    off = sum(
        abs(Counter(map(stratum, result.evaluation))[kind] - share * size)
        for kind, size in Counter(map(stratum, prompts)).items()
    )
    kinds = len({stratum(prompt) for prompt in prompts})
    assert off <= kinds * (result.largest + 1)


@given(st.lists(st.text("abcde ", min_size=1, max_size=14), min_size=2, max_size=40, unique=True))
def test_after_a_split_the_leak_audit_finds_nothing(texts):
    prompts = [Prompt(id=f"p-{index}", text=text) for index, text in enumerate(texts)]
    result = split(prompts, 0.5, alike=near_duplicate_pairs(texts, 0.8))
    assert overlaps(result.evaluation, result.train) == []


def test_three_of_a_chain_stay_together():
    prompts = [Prompt(id=str(index), text=f"text {index}") for index in range(12)]
    result = split(prompts, 0.5, alike=[(0, 1), (1, 2)])
    assert len({prompt.id in ids(result.train) for prompt in prompts[:3]}) == 1
    assert result.largest == 3
    assert (len(result.train), len(result.evaluation)) == (6, 6)
