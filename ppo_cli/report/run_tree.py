"""Who comes from whom, as lines that a terminal can draw.

Not here: what is said of each.
"""

from __future__ import annotations

from collections.abc import Sequence


def family_tree(members: Sequence[tuple[str, str | None]]) -> list[tuple[int, str]]:
    """The members with children right after their parent: the place of each, and what to draw before its name.

    Args:
        members: (name, name of the parent, who need not be among them); the order among siblings is kept. Members
            that are each other's ancestors are drawn as if the first of them had no parent.
    """
    places: dict[str, int] = {}
    for place, (name, _) in enumerate(members):
        places.setdefault(name, place)  # of two folders with one name, children belong to the first
    above = [places.get(parent) if parent is not None else None for _, parent in members]
    children: dict[int, list[int]] = {}
    for place, parent in enumerate(above):
        if parent is not None and parent != place:
            children.setdefault(parent, []).append(place)
    drawn: dict[int, str] = {}

    def draw(place: int, lead: str, below: str) -> None:
        drawn[place] = lead
        left = [child for child in children.get(place, ()) if child not in drawn]
        for child in left:
            last = child == left[-1]
            draw(child, f"{below}{'└─ ' if last else '├─ '}", f"{below}{'   ' if last else '│  '}")

    for place, parent in enumerate(above):
        if parent is None or parent == place:
            draw(place, "", "")
    for place in range(len(members)):
        if place not in drawn:
            draw(place, "", "")
    return list(drawn.items())
