"""The words of `ppo chat`: what is answered by whom, the commands, and the win rate of blind votes.

Not here: answers that grow (`reports.chat_view`), reading keys (`cli.chat`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ppo_cli.records.chat import ChatAnswer, ChatResult, WinRate
from ppo_cli.reports.tables import plain_text

COMMANDS = {
    "/reset": "begin a new conversation",
    "/system TEXT": "begin a new one with another system prompt; without TEXT with none",
    "/save [FILE]": "append the last prompt and all answers to a prompt file",
    "/help": "show these commands",
    "/quit": "leave, as Ctrl-D does",
}
VOTE_KEYS = "1 the first   2 the second   t tie   s no vote"
VOTES = {"1": "first", "2": "second", "t": "tie", "s": "skip"}


def welcome(names: Sequence[str], settings: str, *, blind: bool) -> RenderableType:
    """What stands at the beginning."""
    who = f"{'Blind, in random order' if blind else 'Answers'}: {', '.join(names)}"
    keys = "Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands."
    return Group(plain_text(who), plain_text(settings, style="dim"), plain_text(keys, style="dim"))


def commands_block() -> RenderableType:
    """The commands of a chat."""
    width = max(map(len, COMMANDS))
    return Group(*(plain_text(f"  {name:{width}}  {meaning}", style="dim") for name, meaning in COMMANDS.items()))


def finish_notes(answers: Sequence[ChatAnswer], names: Sequence[str], max_new_tokens: int) -> list[str]:
    """What a reader has to know of answers that did not end by themselves, or that were thought about."""
    notes = []
    for name, answer in zip(names, answers, strict=True):
        if answer.reasoning:
            notes.append(f"{name}: {len(answer.reasoning.split())} words of reasoning are not shown.")
        if answer.finish == "length":
            notes.append(f"{name}: cut at {max_new_tokens} tokens (--max-tokens).")
        if answer.finish == "stopped":
            notes.append(f"{name}: stopped.")
        if not answer.text:
            notes.append(f"{name}: an empty answer.")
    return notes


def win_rate_block(result: ChatResult) -> RenderableType:
    """The win rate of the second of two models over the first, and how many more votes would settle it."""
    rate = result.votes
    before, after = result.models
    if rate is None or rate.rate is None or rate.low_95 is None or rate.high_95 is None:
        ties = f" but {_count(rate.ties, 'tie')}" if rate is not None and rate.ties else ""
        return plain_text(f"No votes{ties} on {after} against {before} yet.")
    interval = f"95 % interval [{100 * rate.low_95:.1f}, {100 * rate.high_95:.1f}]"
    return Group(
        plain_text(f"{after} is preferred to {before} in {100 * rate.rate:.1f} % of votes, {interval}.", style="bold"),
        plain_text(_votes_line(rate, before, after)),
        plain_text(_settled_line(rate, before, after)),
        Text(
            "Decide how many votes to give before you look: who stops at the first settled result is wrong more often "
            "than 5 %.",
            style="dim",
        ),
    )


def _votes_line(rate: WinRate, before: str, after: str) -> str:
    counted = "each counts as half a win" if rate.ties_count == "half" else "left out"
    ties = f", {_count(rate.ties, 'tie')} ({counted})" if rate.ties else ", no tie"
    by = f" by {rate.voters} people" if rate.voters > 1 else ""
    return f"{_count(rate.votes, 'vote')}{by}: {rate.wins} for {after}, {rate.losses} for {before}{ties}."


def _settled_line(rate: WinRate, before: str, after: str) -> str:
    if rate.settled:
        better = after if (rate.rate or 0) > 0.5 else before
        return f"Settled: the interval leaves out 50 %, so {better} is preferred."
    if rate.rate == 0.5:
        return "Not settled: the interval holds 50 %, and while the rate is 50 % no number of votes settles it."
    if rate.more_votes is None:
        return "Not settled: the interval holds 50 %, and at this rate more than 10,000 votes would be needed."
    return (
        f"Not settled: the interval holds 50 %. {rate.more_votes:,} more votes like these would settle it with a "
        f"chance of 80 %, if {100 * (rate.rate or 0):.1f} % is the true rate."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
