"""What reward terms and measures need from a command: models, a cache file, and digests of both for the lock.

A config's code is run, its models fetched and trained only when a term is opened; commands that only read a run open
none.

Not here: the terms (`rewards`), training a reward model (`engine.reward_model`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ppo_cli.errors import ConfigError, ModelError, PromptError, reason_of
from ppo_cli.experiment.digest import sha256_file, sha256_of
from ppo_cli.experiment.measure_types import LmEval
from ppo_cli.experiment.paths import named_terms, term_files
from ppo_cli.experiment.schema import Experiment, Reward
from ppo_cli.experiment.schema_index import MEASURES, TERMS
from ppo_cli.experiment.term_types import Classifier, Judge, Preference, Python, RewardTerm
from ppo_cli.prompts.preference_pairs import read_pair_file
from ppo_cli.records.events import EventHandler, Notice, ignore_events
from ppo_cli.rewards.own_measures import OwnMeasures
from ppo_cli.rewards.registry import SHIPPED
from ppo_cli.rewards.reward_function import CompositeReward
from ppo_cli.rewards.scaling import any_normalised
from ppo_cli.rewards.scorer import RewardContext

IDENTITY_FILES = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")


def build_reward(experiment: Experiment) -> CompositeReward:
    """The reward of an experiment, not opened yet."""
    return CompositeReward(experiment.reward, _context(experiment))


def build_measures(experiment: Experiment) -> OwnMeasures:
    """The measures that a config names, not opened yet; without those that score no answer."""
    named = experiment.evaluation.measures
    scored = {name: measure for name, measure in named.items() if not isinstance(measure, LmEval)}
    return OwnMeasures(scored, _context(experiment))


def _context(experiment: Experiment) -> RewardContext:
    context = RewardContext(device=experiment.device)

    def fetch(path: str, model: str, revision: str | None) -> Path:
        return _fetched(path, model, revision, context.on_event)

    def train_reward_model(path: str, term: Preference, on_event: EventHandler) -> Path:
        from ppo_cli.engine import reward_model
        from ppo_cli.models.device import choose_device

        base = term.base
        folder = _fetched(f"{path}.base", base, None, on_event) if base else _fetched_start(experiment, on_event)
        return reward_model.train_reward_model(path, term, folder, choose_device(experiment.device), on_event)

    context.fetch_model, context.train_reward_model = fetch, train_reward_model
    return context


def open_terms(reward: CompositeReward, on_event: EventHandler, cache: Path | None = None) -> None:
    """Makes every term ready, and warns of terms that may give an answer another score the next time.

    Args:
        reward: of an experiment.
        on_event: called with what is fetched and trained, and with the warning.
        cache: file that a service's scores are kept in.

    Raises:
        UsageError: a function, a model or a file cannot be used.
    """
    reward.context.on_event, reward.context.cache = on_event, cache
    before = set(reward.context.scorers)
    unstable = [name for name, scorer in reward.open().items() if name not in before and not scorer.deterministic]
    if unstable:
        text = f"The reward is not deterministic ({', '.join(unstable)}): a repeated run may get other numbers."
        on_event(Notice(text=text, level="warning"))


def open_measures(measures: OwnMeasures, on_event: EventHandler) -> None:
    """Makes every measure of a config ready.

    Raises:
        UsageError: a function, a model or a file cannot be used.
    """
    measures.context.on_event = on_event
    measures.open()


def needs_no_resources(reward: Reward) -> bool:
    """Whether an answer can be scored without code, patterns, models or services of the config, and without a scale."""
    terms = reward.terms.values()
    runs_nothing_foreign = all(term.type in SHIPPED and getattr(term, "pattern", None) is None for term in terms)
    return runs_nothing_foreign and not any_normalised(reward.terms)


def pin_revisions(experiment: Experiment) -> Experiment:
    """The same experiment with every model that a reward term or a measure loads pinned to its present commit."""
    reward, evaluation = experiment.reward, experiment.evaluation
    terms = {name: _pinned(f"{TERMS}.{name}", term) for name, term in reward.terms.items()}
    measures = {name: _pinned(f"{MEASURES}.{name}", measure) for name, measure in evaluation.measures.items()}
    return experiment.model_copy(
        update={
            "reward": reward.model_copy(update={"terms": terms}),
            "evaluation": evaluation.model_copy(update={"measures": measures}),
        }
    )


@dataclass(frozen=True)
class RewardFile:
    """A file that a reward term or a measure names, read once."""

    copy: str
    """Path of its copy, inside a run folder."""
    text: str


def read_term_files(experiment: Experiment) -> dict[str, RewardFile]:
    """The files that reward terms and measures name, by the config key that names them.

    Raises:
        UsageError: one cannot be read.
    """
    return {
        key: RewardFile(copy=f"inputs/{_folder(path)}/{_copy_name(term, file)}", text=_text_of(term, key, file))
        for path, term in named_terms(experiment).items()
        for key, file in term_files(path, term).items()
    }


def term_content(experiment: Experiment, files: Mapping[str, RewardFile]) -> dict[str, str]:
    """Digests of the files and models that reward terms and measures name, by key path.

    Args:
        experiment: whose terms these are.
        files: as `read_term_files` read them.

    Raises:
        UsageError: the code of an installed module or a model cannot be read.
    """
    content = {key: sha256_of(file.text) for key, file in files.items()}
    for path, term in named_terms(experiment).items():
        match term:
            case Python() if f"{path}.function" not in files:
                from ppo_cli.rewards.python_function import source_of

                module = source_of(path, term.function)
                content[f"{path}.function"] = sha256_of(read_text(f"{path}.function", module))
            case Preference() if term.base:
                content[f"{path}.base"] = _identity(_fetched(f"{path}.base", term.base, None))
            case LmEval() if term.tasks_folder is not None:
                content[f"{path}.tasks_folder"] = _content_of(Path(term.tasks_folder))
            case Classifier() | Judge(endpoint=None):
                folder = _fetched(f"{path}.model", term.model, term.revision)
                content[f"{path}.model"] = _identity(folder)
    return content


def _folder(path: str) -> str:
    """The folder of a run's copies of the files of a term or measure."""
    group, _, name = path.rpartition(".")
    return f"{'reward' if group == TERMS else 'measure'}-{name}"


def _copy_name(term: RewardTerm, file: Path) -> str:
    """The name of a file's copy; pairs of any form are copied as JSON Lines."""
    return f"{file.name.partition('.')[0]}.jsonl" if isinstance(term, Preference) else file.name


def _text_of(term: RewardTerm, path: str, file: Path) -> str:
    """The text to copy of a term's file: of pairs in any form, JSON Lines."""
    if not isinstance(term, Preference):
        return read_text(path, file)
    try:
        return read_pair_file(file).text
    except PromptError as error:
        raise PromptError(f"{path}: {error.message}", error.next_step) from None


def read_text(path: str, file: Path) -> str:
    """A file's text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {file} is not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path}: {file} cannot be read: {reason_of(error)}.", "Check the path.") from None


def _pinned(path: str, term: RewardTerm) -> RewardTerm:
    if not isinstance(term, Classifier | Judge) or Path(term.model).is_dir():
        return term
    if isinstance(term, Judge) and (term.endpoint is not None or term.model.startswith("builtin:")):
        return term
    from ppo_cli.models.model_source import resolve

    with _under(f"{path}.model"):
        revision = resolve(term.model, term.revision).revision
    return term.model_copy(update={"revision": revision})


def _fetched(path: str, model: str, revision: str | None, on_event: EventHandler = ignore_events) -> Path:
    from ppo_cli.models.model_source import resolve

    with _under(path):
        return resolve(model, revision, on_event=on_event).folder


def _fetched_start(experiment: Experiment, on_event: EventHandler) -> Path:
    from ppo_cli.models.model_source import resolve

    return resolve(experiment.model.start, experiment.model.revision, on_event=on_event).folder


@contextmanager
def _under(path: str) -> Iterator[None]:
    """Errors of a model within the block name the reward's key that asked for it."""
    try:
        yield
    except ModelError as error:
        message = error.message.replace("model.start", path).replace("model.revision", path)
        raise type(error)(message, error.next_step) from None


def _content_of(folder: Path) -> str:
    """Digest over every file below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return sha256_of({file.relative_to(folder).as_posix(): sha256_file(file) for file in files})


def _identity(folder: Path) -> str:
    files = sorted(file for pattern in IDENTITY_FILES for file in folder.glob(pattern))
    return sha256_of({file.name: sha256_file(file) for file in files})
