"""Counts of what a command should do once: parse, read a prompt file, tokenize, load a model, make a matrix."""

import builtins
import importlib
import io
import pkgutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import ppo_cli
from ppo_cli.experiment import load
from ppo_cli.prompts import prompt_files
from ppo_cli.stats import label_matrix


@dataclass
class Counts:
    """How often each thing was done since `counting` was called."""

    parsed: Counter = field(default_factory=Counter)
    """Config files, by path: parsed from YAML."""
    read: Counter = field(default_factory=Counter)
    """Prompt files, by path: read as prompts."""
    opened: Counter = field(default_factory=Counter)
    """Files, by path: opened for reading, in whatever way."""
    tokenized: Counter = field(default_factory=Counter)
    """Prompts, by their last turn: tokenized."""
    loaded: Counter = field(default_factory=Counter)
    """Models, by folder: their weights loaded."""
    matrices: Counter = field(default_factory=Counter)
    """Evaluations, by their answers: arranged as a label matrix."""


def counting(monkeypatch):
    """Starts to count; the program does everything as before."""
    from ppo_cli.models import loading
    from ppo_cli.models.loading import ChatTokenizer

    _import_everything()
    counts = Counts()
    _count(monkeypatch, load, "load_experiment", lambda source, *_: counts.parsed.update([str(source)]))
    _count(monkeypatch, load, "load_frozen", lambda source: counts.parsed.update([str(source)]))
    _count(monkeypatch, prompt_files, "read_prompt_file", lambda path: counts.read.update([str(path)]))
    _count(monkeypatch, label_matrix, "label_matrix", lambda labelled: counts.matrices.update([_answers(labelled)]))
    _count(monkeypatch, loading, "read_weights", lambda folder, *_, **__: counts.loaded.update([str(folder)]))
    render = ChatTokenizer.render

    def counted_render(tokenizer, prompt):
        counts.tokenized.update([prompt if isinstance(prompt, str) else prompt[-1].content])
        return render(tokenizer, prompt)

    monkeypatch.setattr(ChatTokenizer, "render", counted_render)
    original_open = io.open

    def counted_open(file, mode="r", *more, **named):
        if "r" in mode and isinstance(file, str | Path):
            counts.opened.update([str(file)])
        return original_open(file, mode, *more, **named)

    monkeypatch.setattr(io, "open", counted_open)
    monkeypatch.setattr(builtins, "open", counted_open)
    return counts


def _count(monkeypatch, module, name, record):
    """Counts the calls of a function, in every module that has imported it."""
    function = getattr(module, name)

    def counted(*given, **named):
        record(*given)
        return function(*given, **named)

    for other in [module for key, module in sys.modules.items() if key.partition(".")[0] == "ppo_cli"]:
        if getattr(other, name, None) is function:
            monkeypatch.setattr(other, name, counted)


def _import_everything():
    """Imports all modules, so that none imports a counted function later and keeps it."""
    for module in pkgutil.walk_packages(ppo_cli.__path__, "ppo_cli."):
        if module.name != "ppo_cli.__main__":
            importlib.import_module(module.name)


def _answers(labelled):
    return tuple((row.prompt.id, row.sample.index, row.sample.answer.text, row.sample.kl) for row in labelled)
