"""The data of the prompt browser: every prompt with all answers of both policies, for the page's script.

Not here: how the script shows them (`script.js`), escaping (`document.json_island`).
"""

from __future__ import annotations

from typing import Any

from ppo_cli.reports.flips import direction
from ppo_cli.reports.html.page_data import Page, PolicyAnswers
from ppo_cli.reports.sentences import flip_verb


def browser_data(page: Page) -> dict[str, Any]:
    """What the script reads: the policies' names, the verb of their rates, and a row per prompt."""
    flipped = {flip.prompt_id for flip in page.comparison.flips}
    answers = [_by_prompt(side) for side in page.sides]
    primary = page.comparison.primary
    return {
        "names": [side.name for side in page.sides],
        "verb": flip_verb(page.comparison),
        "prompts": [
            {
                "id": change.prompt_id,
                "text": page.prompts[change.prompt_id].text,
                "category": page.prompts[change.prompt_id].category,
                "expect": page.prompts[change.prompt_id].expect,
                "rates": [change.before, change.after],
                "flipped": change.prompt_id in flipped,
                "direction": direction(primary, page.prompts[change.prompt_id].expect, change.before, change.after),
                "answers": [of_policy[change.prompt_id] for of_policy in answers],
            }
            for change in page.prompt_changes
        ],
    }


def _by_prompt(side: PolicyAnswers) -> dict[str, list[list[Any]]]:
    """Each answer as [text, tokens, ended, absolute reward or null, words of reasoning], and its seed of several."""
    rows: dict[str, list[list[Any]]] = {}
    for index, row in enumerate(side.labelled):
        answer, reward = row.sample.answer, row.labels.get("reward")
        cells: list[Any] = [
            answer.text,
            answer.answer_tokens,
            answer.ended,
            None if reward is None else round(reward, 4),
            int(row.labels.get("reasoning_words", 0)),
        ]
        rows.setdefault(row.prompt.id, []).append([*cells, side.seeds[index]] if side.seeds else cells)
    return rows
