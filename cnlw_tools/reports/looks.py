"""What lines and points look like, so that each can be told from the others.

The colours are those of Okabe and Ito, which the colour-blind can tell apart. The i-th of n lines
has colour i mod 8; a colour comes again with another line style and another marker:

    line style   (i // 8) mod 4         no pair of colour and line style repeats below 32
    marker       (i + i // 8) mod 8     no pair of colour and marker repeats below 64
"""

from typing import Any, NamedTuple

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#7F7F7F",
)
REFERENCE_COLOUR = "#3F3F46"  # of what lines are compared with
GREY = "#C9C9CF"  # of lines that are there for comparison alone
MARKERS = "osD^vPX*"
# Dotted is left to earlier stages of a method.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (5, 1.2, 1, 1.2)), (0, (7, 1, 2, 1, 2, 1)))
EARLIER_STAGE = ":"
MUTED_WHITE = 0.45  # share of white in a colour that steps back


class Look(NamedTuple):
    """What a line looks like."""

    colour: str
    line_style: Any  # of matplotlib
    marker: str


def line_look(i: int) -> Look:
    """Return the look of the i-th line."""
    n_colours = len(COLOURS)
    n_rounds = i // n_colours
    return Look(
        colour=COLOURS[i % n_colours],
        line_style=LINE_STYLES[n_rounds % len(LINE_STYLES)],
        marker=MARKERS[(i + n_rounds) % len(MARKERS)],
    )


def mute(colour: str) -> str:
    """Return a colour mixed with white."""
    from matplotlib.colors import to_hex, to_rgb

    parts = [MUTED_WHITE + (1 - MUTED_WHITE) * part for part in to_rgb(colour)]
    return to_hex((parts[0], parts[1], parts[2]))
