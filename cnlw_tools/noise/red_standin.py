"""Red noise from a donor: another dataset stands in for the web. It is simulated, and no web noise.

    retrieval label of a donor's image = the class whose mean thumbnail its own is nearest to        (ingest/donors.py)

level % of every class lose their image and receive a donor's that looks like the class; the label stays. From there
on it is red.py: pairs are made on the full lists, levels are nested, an image is used once.
"""

from cnlw_tools.noise import red
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel


def red_standin(base: Items, pool: Items, level: int, classes: int, top: int = 80) -> Draw:
    """Simulated, not web noise: give ``level`` percent of every class images of a donor that look like it.

    Raises:
        ValueError: the level is above ``top``, or that above 100
        TooFewImages: fewer images look like a class than the level needs
    """
    return red.red(base, pool, level, classes, top)


def expected(base: Items, level: int, classes: int, top: int = 80) -> Expected:
    """Every foreign image is wrong for its label, and where the image stays so does the label."""
    return red.expected(base, level, classes, top)


RED_STANDIN = NoiseModel(
    red_standin,
    expected,
    red.RED.guarantees,
    needs_donors=True,
    needs_nearest_class=True,
    paper="Jiang et al. 2020, with a stand-in",
)
