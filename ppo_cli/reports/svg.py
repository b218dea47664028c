"""A chart as SVG text: drawn by matplotlib, coloured by the page's style sheet.

The same drawing gives the same bytes: no date, ids from a fixed salt, no global state.

Not here: what the charts show (`charts`, `runs_chart`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, MUTED, BAND, PAPER = "#010101", "#020202", "#030303", "#040404"
GROUP_COLOURS = ("#050505", "#060606")
COLOURS = {
    INK: "--ink",
    MUTED: "--muted",
    BAND: "--band",
    PAPER: "--paper",
    GROUP_COLOURS[0]: "--a",
    GROUP_COLOURS[1]: "--b",
}
"""Placeholders, each for a colour that the style sheet sets for light, dark and print."""
ON_WHITE = {
    "--ink": "#1c2127",
    "--muted": "#5f6772",
    "--band": "#e9edf2",
    "--paper": "#ffffff",
    "--a": "#3a6ea8",
    "--b": "#c2571a",
}
"""The same colours for a file of its own."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ppo",
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
WIDTH = 5.0
"""Inches; at this width the letters have the size of the page's text, on a telephone too."""


def chart(name: str, title: str, draw: Callable[[Axes], None], height: float) -> str:
    """A chart with one pair of axes, which `draw` fills, as an `svg` element whose colours come from the page."""

    def one(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)

    return drawn_chart(name, title, one, height)


def drawn_chart(name: str, title: str, draw: Callable[[Figure], None], height: float) -> str:
    """The same for a whole figure.

    Args:
        name: unique on its page; ids begin with it.
        title: what a screen reader says.
        draw: fills the figure.
        height: inches.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        figure.patch.set_visible(False)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_the_page(text.getvalue(), name, title)


def _for_the_page(svg: str, name: str, title: str) -> str:
    """Drops what only a file of its own needs, makes the ids unique on the page, and refers to the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', opening)
    rest = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", rest)
    rest = re.sub(r"'DejaVu Sans'[^\";]*", "system-ui, sans-serif", rest)
    for placeholder, variable in COLOURS.items():
        rest = rest.replace(placeholder, f"var({variable})")
    return f'<svg {box.group(0) if box else ""} role="img" aria-label="{escape(title)}">{rest.strip()}'


def whole_number_ticks(*axes: Axis) -> None:
    """Ticks at whole numbers only, for axes that count something."""
    from matplotlib.ticker import MaxNLocator

    for axis in axes:
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def standalone_svg(svg: str) -> str:
    """A chart as a file of its own, on white."""
    for variable, colour in ON_WHITE.items():
        svg = svg.replace(f"var({variable})", colour)
    opening, rest = svg.split(">", 1)
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    white = f'<rect width="100%" height="100%" fill="{ON_WHITE["--paper"]}"/>'
    return f"{opening.replace('<svg', f'<svg {spaces}', 1)}>{white}{rest}\n"
