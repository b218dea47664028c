"""Samples and labelled answers made by hand."""

from ppo_cli.records.answers import Answer
from ppo_cli.records.measures import LabelledAnswer, Sample


def sample(prompt_id, index, text, *, tokens=9, finish="eos", kl=None):
    """One answer to a prompt."""
    return Sample(prompt_id=prompt_id, index=index, answer=Answer(text=text, token_count=tokens, finish=finish), kl=kl)


def labelled_answer(prompt, index, text="", **labels):
    """One answer with labels that no rule gave it."""
    return LabelledAnswer(prompt=prompt, sample=sample(prompt.id, index, text), labels=labels)
