"""Runs below their parents, as the lead of each line of a tree.

Not here: the cells of each line (`screens.runs`).
"""

from __future__ import annotations

from collections.abc import Sequence


def family_tree(members: Sequence[tuple[str, str | None]]) -> list[tuple[int, str]]:
    """The members with children right after their parent: the index of each, and what to draw before its name.

    Args:
        members: (name, name of the parent, who need not be among them); the order among siblings is kept. Members
            that are each other's ancestors are drawn as if the first of them had no parent.
    """
    indices: dict[str, int] = {}
    for index, (name, _) in enumerate(members):
        indices.setdefault(name, index)  # of two folders with one name, children belong to the first
    parents = [indices.get(parent) if parent is not None else None for _, parent in members]
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(parents):
        if parent is not None and parent != index:
            children.setdefault(parent, []).append(index)
    leads: dict[int, str] = {}

    def draw(index: int, lead: str, lead_below: str) -> None:
        leads[index] = lead
        left = [child for child in children.get(index, ()) if child not in leads]
        for child in left:
            last = child == left[-1]
            draw(child, f"{lead_below}{'└─ ' if last else '├─ '}", f"{lead_below}{'   ' if last else '│  '}")

    for index, parent in enumerate(parents):
        if parent is None or parent == index:
            draw(index, "", "")
    for index in range(len(members)):
        if index not in leads:
            draw(index, "", "")
    return list(leads.items())
