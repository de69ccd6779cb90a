"""Simulated red noise takes images of another dataset (the donor) in place of web images.

    argmin_c rank_c(x)     the class that an image x of the donor looks like
    rank_c(x)              the place of x among the donor's images, sorted by |t(x) - m_c|

Here, c is a class of the dataset. The vector t(x) holds the colours of x after x is shrunk to 4 x 4
pixels, and m_c is the mean of t over images of class c. In every class, images of the donor that
look like the class fill `level` % of the slots. (A slot is a place in the training set that belongs
to one image of the dataset.) The label is unchanged. As in red.py, slots are
paired with images before a level is selected, so levels are nested. No image is used twice. The
result imitates web noise, but contains no web image.
"""

from cnlw_tools.noise import red
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel


def red_standin(
    base: Items,
    pool: Items,
    level: int,
    n_classes: int,
    top: int = 80,
) -> Draw:
    """Simulate red noise without the web, with similar images of another dataset.

    Args:
        top: the highest level that you want to build, in percent

    Raises:
        ValueError: the level is above ``top``, or ``top`` is above 100
        TooFewImages: fewer images look like a class than the level needs
    """
    return red.red(base, pool, level, n_classes, top)


def expected_stats(
    base: Items,
    level: int,
    n_classes: int,
    top: int = 80,
) -> Expected:
    """Every foreign image is wrong for its label; where the image stays its label is right."""
    return red.expected_stats(base, level, n_classes, top)


RED_STANDIN = NoiseModel(
    red_standin,
    expected_stats,
    guarantees=red.RED.guarantees,
    needs_donors=True,
    needs_nearest_class=True,
    paper="Jiang et al. 2020",
)
