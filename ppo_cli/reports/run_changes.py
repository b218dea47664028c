"""What sets a run apart from the others in a list: the keys that it changed against its parent, or that most runs lack.

Not here: which keys differ (`evaluation.run_list`), the lists (`screens.runs`, `html.runs_page`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ppo_cli.experiment.values import format_value
from ppo_cli.records.results import RunRow


def usual_values(rows: Sequence[RunRow], differing: Sequence[str]) -> dict[str, str]:
    """The value that most runs have of each key that is not the same in all of them; of several such, the first."""
    return {path: _most_common([row.config.get(path) for row in rows if row.config]) for path in differing}


def what_differs(row: RunRow, by_name: Mapping[str, RunRow], usual: Mapping[str, str]) -> str:
    """`round 1: kl.coef 0.05 → 0.1` of a run with a parent, `seed 2` of one that differs from most; or empty.

    Args:
        row: the run.
        by_name: all runs.
        usual: the value that most runs have, by key.
    """
    if row.state.parent is not None:
        return _against_parent(row, by_name.get(row.state.parent))
    own = {path: format_value(row.config.get(path)) for path in usual}
    return listed({path: value for path, value in own.items() if value != usual[path]})


def listed(values: Mapping[str, str]) -> str:
    """Keys with their values in one line."""
    return ", ".join(f"{path} {value}" for path, value in values.items())


def _against_parent(row: RunRow, parent: RunRow | None) -> str:
    """What a run changed against its parent, and in which round."""
    changes = []
    for path, value in row.state.changed_keys.items():
        before = f"{format_value(parent.config[path])} → " if parent is not None and path in parent.config else ""
        changes.append(f"{path} {before}{format_value(value)}")
    whose = "" if parent is not None else f" of {row.state.parent}"
    return f"round {row.round}{whose}: {', '.join(changes) or 'no change'}"


def _most_common(values: Sequence[object]) -> str:
    return Counter(map(format_value, values)).most_common(1)[0][0]
