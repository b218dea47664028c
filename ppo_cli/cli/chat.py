"""`ppo chat`: its options, and the loop that reads a prompt or a command and shows the answers.

Not here: the chat itself (`chat`), the words on the screen (`reports.screens.chat`).
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ppo_cli.cli.completion import complete_checkpoint
from ppo_cli.cli.output import Json, RunsDir, StartFolder, TrustCode, error_boundary, progress_view, show_result
from ppo_cli.cli.terminal import new_console
from ppo_cli.errors import PpoError, UsageError
from ppo_cli.records.chat import ChatOptions, Choice, Ties

if TYPE_CHECKING:
    from ppo_cli.chat.session import ChatSession

EXAMPLES = (("runs/RUN",), ("runs/RUN/best", "--blind"), ("runs/RUN", "--votes"))


@dataclass(frozen=True, kw_only=True)
class _Loop:
    """What the loop needs besides the chat."""

    console: Console
    typed: bool
    """Whether a person types; else each line of a pipe or file is a prompt of its own."""
    voter: str

    def line(self, question: str) -> str | None:
        """The next line; None at the end of the input."""
        try:
            text = self.console.input(question, markup=False) if self.typed else input()
        except EOFError:
            return None
        if not self.typed:
            self.console.print(f"{question}{text}", markup=False, soft_wrap=True)
        return text

    def say(self, text: str) -> None:
        """A line of the program's own."""
        self.console.print(text, style="dim", markup=False, soft_wrap=True)


def chat(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            help="Checkpoints: RUN (its last), RUN/best, RUN/last or RUN/step-N.",
            metavar="RUN",
            autocompletion=complete_checkpoint,
        ),
    ] = None,
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Show two answers in random order without names, and vote; the run keeps votes."),
    ] = False,
    votes: Annotated[
        bool, typer.Option("--votes", help="Show the win rate from the votes so far; loads no model.")
    ] = False,
    alone: Annotated[bool, typer.Option("--alone", help="Leave the start model out.")] = False,
    system: Annotated[
        str | None, typer.Option(help="System prompt, in place of the run's; empty for none.", metavar="TEXT")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Sampling temperature, in place of the run's; 0 takes the likeliest.", min=0.0)
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer in tokens.", min=1, max=32768)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draws, the same for all models.", min=0)] = None,
    voter: Annotated[str, typer.Option(help="Your name, kept with your votes.", metavar="NAME")] = "",
    ties: Annotated[str, typer.Option(help="A tie counts as half a win, or is left out: half or ignore.")] = "half",
    start: StartFolder = None,
    trust_code: TrustCode = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Talk to a checkpoint and its start model side by side.

    Both answer with the same random draws. With --blind you vote without knowing which is which.
    """
    with error_boundary(as_json):
        count = _ties(ties)
        if not run:
            from ppo_cli.evaluation.run_checkpoint import no_run_named

            raise no_run_named("chat", runs_dir)
        if votes and blind:
            raise UsageError("--votes shows votes, and --blind collects them.", "Give one of them.")
        if voter and not blind:
            raise UsageError("--voter has no effect without --blind.", "Leave it out.")
        from ppo_cli.chat.open_chat import open_chat, votes_so_far
        from ppo_cli.reports.screens.chat import win_rate_block

        if votes:
            so_far = votes_so_far(run, ties=count, runs_dir=runs_dir)
            show_result(as_json, so_far, lambda: win_rate_block(so_far))
            return
        from ppo_cli.setup.own_runs import ReceivedRunOptions

        with progress_view(as_json=True) as on_event:  # on stderr: stdout has the answers
            session = open_chat(
                run,
                options=ChatOptions(
                    alone=alone,
                    blind=blind,
                    system=system,
                    temperature=temperature,
                    max_tokens=max_tokens,
                    seed=seed,
                ),
                runs_dir=runs_dir,
                received=ReceivedRunOptions(start=start, trust_code=trust_code),
                on_event=on_event,
            )
        _talk(session, _Loop(console=new_console(stderr=as_json), typed=_is_terminal(sys.stdin), voter=voter))
        result = session.result(count)
        if as_json:
            show_result(True, result, lambda: "")
        elif blind:
            new_console().print(win_rate_block(result))


def _ties(word: str) -> Ties:
    if word not in ("half", "ignore"):
        raise UsageError(f"--ties {word}: no such way to count ties.", "Give half or ignore.")
    return "half" if word == "half" else "ignore"


def _is_terminal(stream: Any) -> bool:  # noqa: ANN401 - whatever stdin is
    return stream is not None and stream.isatty()


def _talk(session: ChatSession, loop: _Loop) -> None:
    """Reads prompts and commands until the input ends or the user leaves."""
    from ppo_cli.reports.screens.chat import welcome

    if loop.typed:
        with suppress(ImportError):
            import readline  # noqa: F401 - gives the line that is typed its keys
    settings = session.settings
    names = [model.name for model in session.models]
    words = f"temperature {settings.temperature:g}, at most {settings.max_new_tokens} tokens, seed {settings.seed}"
    words += f", system prompt: {settings.system}" if settings.system else ""
    loop.console.print(welcome(names, f"{words}. All models answer with the same draws.", blind=_is_blind(session)))
    if not loop.typed:
        loop.say("Each line of the input is a prompt of its own, in a new conversation.")
    while True:
        try:
            line = loop.line("\nyou> ")
            if line is None:
                break
            if not _handled(session, loop, line.rstrip()):
                break
        except KeyboardInterrupt:
            loop.say("\nCtrl-D or /quit leaves.")
        except PpoError as error:
            loop.say(f"{error.message} {error.next_step}")
    loop.console.print()


def _is_blind(session: ChatSession) -> bool:
    return session.votes_file is not None


def _handled(session: ChatSession, loop: _Loop, line: str) -> bool:
    """Carries out one line; False where it asks to leave."""
    from ppo_cli.reports.screens.chat import commands_block

    word, _, rest = line.partition(" ")
    if word in ("/quit", "/exit", "/q"):
        return False
    if word == "/reset":
        session.reset()
        loop.say("A new conversation.")
    elif word == "/system":
        session.set_system(rest.strip() or None)
        loop.say("A new conversation, with that system prompt." if rest.strip() else "A new one, without one.")
    elif word == "/save":
        _save(session, loop, rest.strip())
    elif word == "/help":
        loop.console.print(commands_block())
    elif word.startswith("/"):
        loop.say(f"{word} is no command: /help lists them. A prompt that begins with a slash needs a blank before it.")
    elif line := line.strip():
        if not loop.typed:
            session.reset()
        _answer(session, loop, line)
    return True


def _save(session: ChatSession, loop: _Loop, name: str) -> None:
    from ppo_cli.chat.saved_prompts import DEFAULT_FILE, save_turn

    if not session.said:
        loop.say("There is no answer in this conversation to save.")
        return
    path = Path(name or DEFAULT_FILE).expanduser()
    row = save_turn(path, session.turns[-1], session.history(len(session.models) - 1), session.settings.system)
    loop.say(f"Saved as {row} in {path}, with the answers of {len(session.models)} models.")


def _answer(session: ChatSession, loop: _Loop, prompt: str) -> None:
    """Streams the answers to a prompt; with a vote, in random order without names."""
    from ppo_cli.reports.screens.chat import finish_notes

    streams = session.begin(prompt)
    names = [model.name for model in session.models]
    shown = list(range(len(streams)))
    first: Literal["before", "after"] = "before"
    if _is_blind(session):
        first = session.shown_first(prompt, loop.voter)
        shown = [0, 1] if first == "before" else [1, 0]
        names = ["answer 1", "answer 2"]
    with _keys_unseen(loop.typed):
        _stream([streams[index] for index in shown], names, loop.console)
    turn = session.finish(prompt, streams)
    if turn is None:
        loop.say("Stopped before the first word; this prompt is not part of the conversation.")
        return
    as_shown = [turn.answers[index] for index in shown]
    for note in finish_notes(as_shown, names, session.settings.max_new_tokens):
        loop.say(note)
    if _is_blind(session) and any(answer.finish == "stopped" for answer in turn.answers):
        loop.say("No vote on an answer that was stopped.")
    elif _is_blind(session):
        _vote(session, loop, first)


def _stream(streams: list[Any], names: list[str], console: Console) -> None:
    """Shows the answers while they grow; Ctrl-C ends them where they are."""
    from ppo_cli.chat.session import stream_all
    from ppo_cli.reports.chat_view import ChatView

    view = ChatView(console)
    with _stoppable() as stop:
        if view.has_columns(len(streams)):
            with view.columns(names, streams) as redraw:
                stream_all(streams, stop, redraw)
            return
        for number, (name, stream) in enumerate(zip(names, streams, strict=True)):
            view.print_name(name, number)
            printed = view.printed(stream)
            stream_all([stream], stop, printed)
            printed.end()


def _vote(session: ChatSession, loop: _Loop, first: Literal["before", "after"]) -> None:
    """Asks which answer was better and keeps the vote."""
    from ppo_cli.reports.screens.chat import VOTE_KEYS, VOTES

    second: Literal["before", "after"] = "after" if first == "before" else "before"
    while True:
        key = loop.line(f"better? {VOTE_KEYS} > ")
        if key is None:
            return
        meaning = VOTES.get(key.strip().lower())
        if meaning is not None:
            break
        loop.say(f"'{key.strip()}' is none of the keys.")
    choices: dict[str, Choice] = {"first": first, "second": second, "tie": "tie"}
    if meaning in choices:
        session.vote(choices[meaning], first, loop.voter)


@contextmanager
def _keys_unseen(typed: bool) -> Iterator[None]:
    """Shows no key that is pressed while answers are drawn, and drops it: it was meant for no question yet."""
    termios = importlib.import_module("termios") if typed and importlib.util.find_spec("termios") else None
    if termios is None:  # no terminal, or a system without terminals of this kind
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    unseen = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSANOW, unseen)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Lets the first Ctrl-C set what it gives, and a second one stop at once."""
    pressed: list[bool] = []

    def handle(_number: int, _frame: Any) -> None:  # noqa: ANN401
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
