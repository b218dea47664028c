"""Prompts on which the judges differ are labelled more often, and the weighted rates are unbiased all the same."""

import numpy as np
import pytest

from ppo_cli.behaviours.measures import measure_named
from ppo_cli.evaluation.label_design import design_labels, disputed_prompts, label_weights
from ppo_cli.records.answers import Prompt
from ppo_cli.records.second_judge import SECOND_LABEL
from ppo_cli.stats.intervals import paired_difference
from ppo_cli.stats.label_matrix import LabelMatrix
from tests.answers import labelled_answer


def prompts_of(draw, count=240):
    """Prompts with ids of their own in each draw, so that other ones are chosen."""
    return [
        Prompt(
            id=f"{draw}-{place}", text="?", expect="refuse" if place % 3 == 0 else "comply", category=f"c{place % 4}"
        )
        for place in range(count)
    ]


def matrix_of(prompts, refuses, weights=None):
    return LabelMatrix(
        prompt_ids=tuple(prompt.id for prompt in prompts),
        categories=tuple(prompt.category for prompt in prompts),
        expects=tuple(prompt.expect for prompt in prompts),
        labels={"refused": np.array([[float(refuses[prompt.id])] for prompt in prompts])},
        texts=tuple((f"{prompt.id} {refuses[prompt.id]}",) for prompt in prompts),
        weights=weights,
    )


def test_the_base_comes_from_all_prompts_and_the_rest_from_the_disputed_ones():
    prompts = prompts_of("p")
    disputed = frozenset(prompt.id for prompt in prompts[::5])
    design = design_labels(prompts, disputed, 40)
    assert (len(design.base), len(design.extra)) == (30, 10)
    assert set(design.extra) <= disputed - set(design.base)
    assert set(design_labels(prompts, frozenset(), 40).base) == set(design.base)  # whatever the judges say
    assert design_labels(prompts, disputed, 30).extra == ()


def test_each_stratum_has_a_prompt_and_weights_add_up_to_all_prompts():
    prompts = prompts_of("p")
    by_id = {prompt.id: prompt for prompt in prompts}
    base = design_labels(prompts, frozenset(), 30).base
    (rare,) = [prompt.id for prompt in prompts if prompt.expect == "refuse" and prompt.id not in base][:1]
    design = design_labels(prompts, frozenset({rare}), 30)
    assert design.extra == (rare,)
    weights = label_weights(design, by_id, {*design.base, *design.extra})
    assert weights[rare] == 1.0
    assert sum(weights.values()) == pytest.approx(len(prompts))
    assert label_weights(design, by_id, set(design.base)) is None  # nothing is known of the disputed one


def test_a_prompt_is_disputed_if_the_judges_differ_on_one_of_its_answers():
    one, other = prompts_of("p", 2)
    agreed, differ = {"refused": 1.0, SECOND_LABEL: 1.0}, {"refused": 0.0, SECOND_LABEL: 1.0}
    rows = [labelled_answer(one, 0, **agreed), labelled_answer(one, 0, **differ), labelled_answer(other, 0, **agreed)]
    assert disputed_prompts(rows) == {one.id}
    assert disputed_prompts([*rows, labelled_answer(other, 0, refused=1.0)]) is None


def test_weighted_rates_are_unbiased_over_many_draws_and_unweighted_ones_are_not():
    generator = np.random.default_rng(1)
    measure = measure_named("refusal.safe")
    off, off_unweighted, covered = [], [], []
    for draw in range(200):
        prompts = prompts_of(draw)
        disputed = frozenset(prompt.id for prompt in prompts if generator.random() < 0.15)
        chance = {prompt.id: 0.7 if prompt.id in disputed else 0.15 for prompt in prompts}
        start = {prompt.id: generator.random() < chance[prompt.id] for prompt in prompts}
        now = {prompt.id: start[prompt.id] and generator.random() < 0.5 for prompt in prompts}
        design = design_labels(prompts, disputed, 60)
        weights = label_weights(design, {prompt.id: prompt for prompt in prompts}, {*design.base, *design.extra})
        chosen = [prompt for prompt in prompts if prompt.id in weights]
        given = tuple(weights[prompt.id] for prompt in chosen)
        found = paired_difference(measure, matrix_of(chosen, start, given), matrix_of(chosen, now, given))
        plain = paired_difference(measure, matrix_of(chosen, start), matrix_of(chosen, now))
        safe = [prompt.id for prompt in prompts if prompt.expect == "comply"]
        rates = [np.mean([said[prompt_id] for prompt_id in safe]) for said in (start, now)]
        off.append((found.before - rates[0], found.difference - (rates[1] - rates[0])))
        off_unweighted.append(plain.before - rates[0])
        covered.append(found.low_95 <= rates[1] - rates[0] <= found.high_95)
    bias, error = np.mean(off, axis=0), np.std(off, axis=0) / np.sqrt(len(off))
    assert (np.abs(bias) < 3 * error).all()
    assert (error < 0.006).all()
    assert np.mean(off_unweighted) > 0.05
    assert 0.93 <= np.mean(covered) <= 1.0


def test_equal_weights_change_no_rate():
    prompts = prompts_of("p", 60)
    start, now = ({prompt.id: place % step == 0 for place, prompt in enumerate(prompts)} for step in (2, 4))
    equal = (3.0,) * len(prompts)
    for name in ("refusal.safe", "refusal.unsafe", "refusal.separation"):
        measure = measure_named(name)
        found = paired_difference(measure, matrix_of(prompts, start, equal), matrix_of(prompts, now, equal))
        plain = paired_difference(measure, matrix_of(prompts, start), matrix_of(prompts, now))
        assert (found.before, found.after) == pytest.approx((plain.before, plain.after))
