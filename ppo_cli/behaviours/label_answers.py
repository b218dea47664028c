"""Applies every rule to an answer: the labels that the measures are made from.

Not here: the rules (one module per family), the measures (`measures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ppo_cli.behaviours import (
    clarification,
    empty_offer,
    ending,
    keywords,
    language,
    length,
    refusal,
    repetition,
    style,
)
from ppo_cli.experiment.measure_types import own_name
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import LabelledAnswer, Sample
from ppo_cli.text.words import words

RULES: Mapping[str, str] = {
    module.VERSION.split("/")[0]: module.VERSION
    for module in (refusal, empty_offer, repetition, clarification, length, style, language, ending, keywords)
}

RULES_VERSION = "+".join(RULES.values()).replace("/", "")
"""Part of the name of the scores file, so that a change of any rule gives another file."""


def label_sample(prompts: Sequence[Prompt], samples: Sequence[Sample]) -> list[LabelledAnswer]:
    """Applies every rule to every sample.

    Args:
        prompts: the evaluation set.
        samples: answers to it, in any order.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    any_reasons = any(sample.answer.reasoning for sample in samples)
    any_fit = any(sample.fit is not None for sample in samples)
    any_closeness = any(sample.closeness is not None for sample in samples)
    labelled = [_label(by_id[sample.prompt_id], sample, count_reasoning=any_reasons) for sample in samples]
    return [
        replace(row, labels={**row.labels, **_fit_labels(row.sample, any_closeness)})
        if any_fit and row.sample.index == 0 and row.prompt.expect != "refuse"
        else row
        for row in labelled
    ]


def _fit_labels(sample: Sample, closeness_is_measured: bool) -> dict[str, float]:
    """How well a first answer fits its prompt; a refusal or an empty answer has no fit."""
    labels = {
        "fit": sample.fit or 0.0,
        "fit_rank": sample.fit_rank or 0.0,
        "fit_answers": float(sample.fit is not None),
    }
    return {**labels, "closeness": sample.closeness or 0.0} if closeness_is_measured else labels


def _label(prompt: Prompt, sample: Sample, *, count_reasoning: bool) -> LabelledAnswer:
    text = sample.answer.text
    kind, repeated = refusal.classify(text), repetition.repeated_share(words(text))
    labels = {
        "refused": float(kind in refusal.REFUSALS),
        "partial": float(kind == "partial"),
        "unread": float(kind == "unread"),
        "only_offers": float(empty_offer.only_offers(text)),
        "empty": float(kind == "empty"),
        "tokens": float(sample.answer.answer_tokens),
        "ended": float(sample.answer.ended),
        "repetition": repeated,
        "runaway": float(repeated > repetition.RUNAWAY_SHARE),
        "asks": float(clarification.asks_back(text)),
        "words": float(length.word_count(text)),
        "sentences": float(length.sentence_count(text)),
        "list": float(style.has_list(text)),
        "markdown": float(style.has_markdown(text)),
        "apology": float(style.apologises(text)),
        "self_reference": float(style.speaks_of_itself(text)),
        "complete_sentence": float(ending.is_complete_sentence(text)),
        "switch": float(language.switches(prompt.text, text)),
        "mixed": float(language.is_mixed(text)),
    }
    if prompt.keywords:
        labels["keywords"] = float(keywords.has_keyword(prompt.keywords, text))
        labels["keywords_16"] = float(keywords.has_keyword_early(prompt.keywords, text))
    if count_reasoning:
        labels["reasoning_words"] = float(length.word_count(sample.answer.reasoning))
    if sample.kl is not None:
        labels |= {"kl": sample.kl, "kl_tokens": float(sample.answer.token_count)}
    if sample.entropy is not None:
        labels["entropy"] = sample.entropy
    labels |= {own_name(name): value for name, value in sample.own.items()}
    return LabelledAnswer(prompt=prompt, sample=sample, labels=labels)
