"""Writes warm-start examples in a model's own words: the first sentence or two of its answers to plain prompts.

    python benchmarks/own_sentences.py OUT.jsonl configs/prompts/concise/train.jsonl configs/prompts/clarify/train.jsonl

An SFT on sentences that a person wrote teaches a small model another language; on its own it keeps the one it has. Of
several answers per prompt that `expect` comply, sampled at a low temperature with a repetition penalty, those are kept
that are a whole sentence, neither refuse nor echo the prompt, and do not begin like a stock phrase; of these the one
that fits its prompt best (`models.prompt_fit`). Read them before you train on them.

Not here: training (`ppo train`), which of the examples a recipe takes (read them).
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ppo_cli.behaviours import refusal
from ppo_cli.models import loading, model_source
from ppo_cli.models.device import choose_dtype
from ppo_cli.models.prompt_fit import PromptFitJudge, other_prompts
from ppo_cli.prompts.prompt_files import read_prompts
from ppo_cli.records.answers import Prompt

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“'(0-9])")
STOCK_PHRASE = re.compile(
    r"(?i)^(the answer|this (question|is)|i'm|i am|dear|you're right|it's great|that's|(the|a) classic|the concept of"
    r"|when it comes|as an? |sure|certainly)|classic (example|question|riddle|debate)|my (dear|students)"
)
ROWS_PER_BATCH = 24
ANSWERS_PER_PROMPT = 6
MIN_WORDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("prompts", type=Path, nargs="+")
    parser.add_argument("--model", default="builtin:smollm2-135m-instruct")
    parser.add_argument("--max-tokens", type=int, default=26, help="longest example, in tokens")
    parser.add_argument("--min-fit", type=float, default=10.0, help="nats of information about the prompt")
    options = parser.parse_args()
    folder = model_source.resolve(options.model).folder
    tokenizer, device = loading.load_tokenizer(folder), torch.device("cpu")
    model = loading.load_model(folder, tokenizer, device, choose_dtype("auto", device))
    prompts = list(
        {
            prompt.text: prompt
            for path in options.prompts
            for prompt in read_prompts(path)
            if prompt.expect == "comply"
        }.values()
    )
    pairs = []
    for prompt, answers in zip(prompts, _sampled(model, tokenizer, prompts), strict=True):
        sentences = {_first_sentences(tokenizer, text, options.max_tokens) for text in answers}
        pairs += [(prompt, text) for text in sorted(filter(None, sentences)) if _is_an_answer(prompt, text)]
    judge = PromptFitJudge(lambda: nullcontext(model), tokenizer, other_prompts(prompts, 0, 3))
    best: dict[str, tuple[float, Prompt, str]] = {}
    for (prompt, text), fit in zip(pairs, judge.fits(pairs), strict=True):
        if fit.information >= max(options.min_fit, best.get(prompt.text, (0.0,))[0]):
            best[prompt.text] = (fit.information, prompt, text)
    rows = [
        {"prompt": prompt.text, "category": prompt.category, "expect": "comply", "answer": text}
        for _, prompt, text in best.values()
    ]
    lines = [json.dumps({"id": f"own-{number:04d}", **row}, ensure_ascii=False) for number, row in enumerate(rows, 1)]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(rows)} of {len(prompts)} prompts have an answer to train on: {options.output}")


def _sampled(model: Any, tokenizer: loading.ChatTokenizer, prompts: Sequence[Prompt]) -> Iterator[list[str]]:
    """Some answers to each prompt."""
    torch.manual_seed(0)
    for start in range(0, len(prompts), ROWS_PER_BATCH):
        ids = [tokenizer.render(prompt.chat) for prompt in prompts[start : start + ROWS_PER_BATCH]]
        width = max(map(len, ids))
        rows = torch.tensor([[tokenizer.pad_id] * (width - len(row)) + row for row in ids])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
        with torch.inference_mode():
            sampled = model.generate(
                input_ids=rows,
                attention_mask=mask,
                max_new_tokens=48,
                do_sample=True,
                temperature=0.4,
                top_k=0,
                repetition_penalty=1.1,
                num_return_sequences=ANSWERS_PER_PROMPT,
            )
        for row in range(len(ids)):
            of_prompt = sampled[row * ANSWERS_PER_PROMPT : (row + 1) * ANSWERS_PER_PROMPT, width:]
            yield [tokenizer.decode(tokens.tolist()) for tokens in of_prompt]


def _first_sentences(tokenizer: loading.ChatTokenizer, text: str, max_tokens: int) -> str | None:
    """The first two sentences, or the first, whichever is within the limit; None where neither is, or none ends."""
    best, sentences = None, SENTENCE_END.split(" ".join(text.split()))
    for count in (1, 2):
        beginning = " ".join(sentences[:count])
        if re.search(r"[.!?][\"”')]?$", beginning) and len(tokenizer.tokenizer(beginning).input_ids) <= max_tokens:
            best = beginning
    return best


def _is_an_answer(prompt: Prompt, text: str) -> bool:
    echo = text.strip(" ?.!").lower() in prompt.text.lower()
    helps = refusal.classify(text) in refusal.ANSWERS and len(text.split()) >= MIN_WORDS
    return helps and not echo and STOCK_PHRASE.search(text) is None


if __name__ == "__main__":
    main()
