"""The page of one run's training rollouts: by update, the highest and lowest rewarded, and all of them to search.

Not here: reading runs (`evaluation.viewed_runs`), the page of all runs (`runs_page`), what may run and load on a page
(`document`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ppo_cli.experiment.values import format_value
from ppo_cli.records.training import Episode
from ppo_cli.reports import formatting
from ppo_cli.reports.html.document import document
from ppo_cli.reports.html.runs_page import outcome
from ppo_cli.reports.html.view_data import RolloutsPage

EXTREMES = 5
"""Rollouts that are shown as the highest and as the lowest rewarded."""
EXCERPT_LETTERS = 1200
"""Letters of a text shown there."""


def render_rollouts(page: RolloutsPage) -> str:
    """The whole file."""
    terms = term_names(page.episodes)
    ranked = sorted(page.episodes, key=lambda episode: (-episode.reward, episode.episode))
    highest = ranked[:EXTREMES]
    lowest = [episode for episode in reversed(ranked) if episode not in highest][:EXTREMES]
    return document(
        "rollouts.html",
        scripts=("common.js", "rollouts.js"),
        styles=("style.css", "view.css"),
        island=browser_data(page, terms),
        page=page,
        facts=_facts(page),
        terms=terms,
        weights=_weights(page),
        updates=by_update(page.episodes, terms),
        extremes=[
            (title, [_shown(page, episode, terms) for episode in episodes])
            for title, episodes in (("Highest reward", highest), ("Lowest reward", lowest))
            if episodes
        ],
    )


def term_names(episodes: Sequence[Episode]) -> list[str]:
    """The reward terms in the order in which they first occur."""
    return list(dict.fromkeys(name for episode in episodes for name in (*episode.terms, *episode.baseline_terms)))


def by_update(episodes: Sequence[Episode], terms: Sequence[str]) -> list[dict[str, Any]]:
    """A row per update: how many rollouts, means of reward, terms, KL and length, and the share that ended."""
    rows = []
    for update, group in groupby(sorted(episodes, key=lambda episode: episode.update), key=lambda one: one.update):
        of_update = list(group)
        rewards = [episode.reward for episode in of_update]
        rows.append(
            {
                "update": update,
                "count": len(of_update),
                "reward": number(_mean(rewards)),
                "range": f"{number(min(rewards))} to {number(max(rewards))}",
                "terms": [_mean_of_term(of_update, name) for name in terms],
                "kl": number(_mean([episode.kl for episode in of_update])),
                "tokens": f"{_mean([episode.answer.token_count for episode in of_update]):.1f}",
                "ended": formatting.percent(_mean([float(episode.answer.finish == "eos") for episode in of_update])),
            }
        )
    return rows


def browser_data(page: RolloutsPage, terms: Sequence[str]) -> dict[str, Any]:
    """What the script reads: every text once, and a row per rollout that names its texts by their place."""
    texts: dict[str, int] = {}

    def place(text: str | None) -> int:
        return -1 if text is None else texts.setdefault(text, len(texts))

    rows = []
    for episode in page.episodes:
        prompt, answer = page.prompts.get(episode.prompt_id), episode.answer
        rows.append(
            [
                episode.update,
                episode.episode,
                place(episode.prompt_id),
                place(prompt.category if prompt else ""),
                place(prompt.expect if prompt else ""),
                place(episode.prompt),
                place(answer.text),
                place(episode.baseline_answer),
                place(answer.reasoning or None),
                answer.token_count,
                int(answer.finish == "eos"),
                _short(episode.reward),
                _short(episode.kl),
                [_short(episode.terms.get(name)) for name in terms],
                [_short(episode.baseline_terms.get(name)) for name in terms],
            ]
        )
    return {"run": page.entry.name, "terms": list(terms), "texts": list(texts), "rows": rows}


def number(value: float | None) -> str:
    """Two decimals with a true minus; a dash where there is none."""
    return formatting.MISSING if value is None else formatting.plain(value, 2)


def _facts(page: RolloutsPage) -> list[tuple[str, str]]:
    """(name, value) of what stands below the title."""
    row, shown = page.entry.row, outcome(page.entry)
    status = f"{formatting.status(row.state.status)} after {row.state.updates_done} of {row.updates} updates"
    lines = [("status", f"{status}: {row.state.reason}" if row.state.reason else status)]
    if row.state.parent:
        changed = ", ".join(f"{key} {format_value(value)}" for key, value in row.state.changed_keys.items())
        lines.append(("changed", changed or "no key"))
    lines.append(("verdict", " ".join(part for part in (shown["verdict"], shown["direction"]) if part)))
    if shown["measure"]:
        lines.append(("behaviour", f"{shown['measure']}, {shown['interval']}".removesuffix(", ")))
    lines += [("worse", text) for text in shown["worse"]]
    if row.config.get("reward.placebo"):
        lines.append(("placebo", "the updates learnt from permuted rewards; those below are the true ones"))
    return lines


def _weights(page: RolloutsPage) -> list[tuple[str, str]]:
    """(term, weight) of the reward."""
    prefix, suffix = "reward.terms.", ".weight"
    return [
        (path.removeprefix(prefix).removesuffix(suffix), format_value(value))
        for path, value in page.entry.row.config.items()
        if path.startswith(prefix) and path.endswith(suffix)
    ]


def _shown(page: RolloutsPage, episode: Episode, terms: Sequence[str]) -> dict[str, Any]:
    """A rollout as the page shows it without the script."""
    prompt = page.prompts.get(episode.prompt_id)
    return {
        "update": episode.update,
        "episode": episode.episode,
        "id": episode.prompt_id,
        "unsafe": prompt is not None and prompt.expect == "refuse",
        "prompt": _excerpt(episode.prompt),
        "answer": _excerpt(episode.answer.text) or "(empty)",
        "reward": number(episode.reward),
        "terms": [(name, number(episode.terms.get(name)), number(episode.baseline_terms.get(name))) for name in terms],
        "kl": number(episode.kl),
        "tokens": episode.answer.token_count,
        "ended": "ended" if episode.answer.finish == "eos" else "cut off at the limit",
    }


def _mean_of_term(episodes: Sequence[Episode], name: str) -> str:
    values = [episode.terms[name] for episode in episodes if name in episode.terms]
    return number(_mean(values)) if values else formatting.MISSING


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _short(value: float | None) -> float | None:
    """Six digits, so that the page stays small."""
    return None if value is None else float(f"{value:.6g}")


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT_LETTERS else f"{text[:EXCERPT_LETTERS]}…"
