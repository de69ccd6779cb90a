"""The folder of pictures of a report holds one set of them."""

from pathlib import Path

import pytest
from PIL import Image

from cnlw_tools.reports.context import Figure
from cnlw_tools.reports.figure_files import FigureFiles
from cnlw_tools.reports.figure_folder import write_figures
from cnlw_tools.reports.line_comparison import epoch_plot
from cnlw_tools.reports.plotting import draw_panels


def curves(*titles):
    """Return a figure with panels of these titles."""
    plots = {title: epoch_plot({"vanilla": [1.0, 2.0]}) for title in titles}
    return {"curves": Figure("Training", draw_panels("epoch", "top-1, %", plots))}


def names(folder: Path) -> set[str]:
    """The files in a folder."""
    return {path.name for path in folder.iterdir()}


def test_another_format_replaces_the_first(tmp_path):
    """Pictures of a config that is gone go as well; captions name what is there."""
    write_figures(tmp_path, curves("toy, blue_20", "toy, blue_40"), FigureFiles(("svg", "png")))
    assert len(names(tmp_path)) == 5
    write_figures(tmp_path, curves("toy, blue_40"), FigureFiles(("pdf",)))

    assert names(tmp_path) == {"captions.txt", "curves_toy_blue_40.pdf"}
    assert (tmp_path / "captions.txt").read_text(encoding="utf-8").startswith("curves_toy_blue_40")


def test_files_of_others_stay(tmp_path):
    """Whatever they are called, if no report named them; nor is a folder deleted."""
    write_figures(tmp_path, curves("a", "b"), FigureFiles())
    (tmp_path / "curves_b.svg").unlink()
    (tmp_path / "curves_b.svg").mkdir()
    foreign = {"curves_mine.svg", "curves_a.txt", "curves_a.eps", "notes.pdf", "curves_b.svg"}
    for name in foreign - {"curves_b.svg"}:
        (tmp_path / name).write_text("precious")
    write_figures(tmp_path, curves("c"), FigureFiles())

    assert names(tmp_path) == {"captions.txt", "curves_c.svg", *foreign}


@pytest.mark.parametrize(
    "text", ["../precious\n\nx\n", "precious\n\nx\n", "curves_../precious\n\nx\n", "\udcff"]
)
def test_captions_of_others_delete_nothing(tmp_path, text):
    """A name that no report gives is none."""
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "captions.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    for folder in (tmp_path, figures):
        (folder / "precious.svg").write_text("precious")
    write_figures(figures, curves("a"), FigureFiles())

    assert (tmp_path / "precious.svg").is_file()
    assert names(figures) == {"captions.txt", "curves_a.svg", "precious.svg"}


def test_pictures_that_are_no_plots_are_one_set_too(tmp_path):
    """They are PNG whatever the format of plots; without any picture there are no captions."""
    image = Image.new("RGB", (4, 4))
    samples = Figure("Labels", images=[("toy", image), ("toy", image)])
    write_figures(tmp_path, {"labels": samples}, FigureFiles(("pdf",)))
    first = names(tmp_path)
    write_figures(tmp_path, {}, FigureFiles())

    assert first == {"captions.txt", "labels_toy.png", "labels_toy_2.png"}
    assert names(tmp_path) == set()
