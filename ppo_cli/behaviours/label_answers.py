"""What the rules say of an answer: every label that a measure is made from.

Not here: the rules (one file a family), the measures (`catalog`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ppo_cli.behaviours import clarification, ending, keywords, language, length, refusal, repetition, style
from ppo_cli.records.answers import Prompt
from ppo_cli.records.measures import LabelledAnswer, Sample
from ppo_cli.text.words import words

RULES: Mapping[str, str] = {
    module.VERSION.split("/")[0]: module.VERSION
    for module in (refusal, repetition, clarification, length, style, language, ending, keywords)
}

RULES_VERSION = "+".join(RULES.values()).replace("/", "")
"""Names the scores file; a change of any rule changes it."""


def label_sample(prompts: Sequence[Prompt], samples: Sequence[Sample]) -> list[LabelledAnswer]:
    """Applies every rule to every sample.

    Args:
        prompts: the evaluation set.
        samples: answers to it, in any order.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    return [_with_values(by_id[sample.prompt_id], sample) for sample in samples]


def _with_values(prompt: Prompt, sample: Sample) -> LabelledAnswer:
    kind, said = refusal.classify(sample.answer), words(sample.answer)
    values = {
        "refused": float(kind == "refusal"),
        "empty": float(kind == "empty"),
        "tokens": float(sample.token_count),
        "ended": float(sample.finish == "eos"),
        "repetition": repetition.repeated_share(said),
        "loops": float(repetition.repeated_share(said) > repetition.RUNAWAY_SHARE),
        "asks": float(clarification.asks_back(sample.answer)),
        "words": float(length.word_count(sample.answer)),
        "sentences": float(length.sentence_count(sample.answer)),
        "list": float(style.has_list(sample.answer)),
        "markdown": float(style.has_markdown(sample.answer)),
        "apology": float(style.apologises(sample.answer)),
        "self_reference": float(style.speaks_of_itself(sample.answer)),
        "whole": float(ending.is_complete_sentence(sample.answer)),
        "switch": float(language.switches(prompt.text, sample.answer)),
        "mixed": float(language.is_mixed(sample.answer)),
    }
    if prompt.keywords:
        values["mentions"] = float(keywords.has_keyword(prompt.keywords, sample.answer))
        values["mentions_at_once"] = float(keywords.has_keyword_early(prompt.keywords, sample.answer))
    if sample.kl is not None:
        values |= {"kl": sample.kl, "kl_tokens": float(sample.token_count)}
    if sample.entropy is not None:
        values["entropy"] = sample.entropy
    return LabelledAnswer(
        prompt_id=prompt.id,
        category=prompt.category,
        expect=prompt.expect,
        sample=sample.sample,
        text=sample.answer,
        labels=values,
    )
