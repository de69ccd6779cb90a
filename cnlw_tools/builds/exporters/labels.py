"""A table of labels for each split, for a data loader that has the images from elsewhere.

    OUT/train.csv      image_id, label, label_name of every row

Rows stand in the order in which `datasets` reads the config, so the number of a line is the row
that the files of a run speak of. With ``truth`` the table also has clean_label (empty where nobody
knows), is_noisy, origin and replaces.
"""

from pathlib import Path

from cnlw_tools.builds.exporters.base import ExportedConfig
from cnlw_tools.builds.exporters.file_names import safe_name
from cnlw_tools.builds.exporters.label_table import label_cells, label_columns, open_csv


def export_labels(config: ExportedConfig, folder: Path, truth: bool = False) -> None:
    """A csv file of image ids and given labels for each split, without images.

    Args:
        config: what to write
        folder: an empty folder
        truth: the files also say what is true of each image
    """
    columns = label_columns(truth)
    for split, part in config.splits.items():
        with open_csv(folder / f"{safe_name(split)}.csv", columns) as table:
            for batch in part.rows.to_batches():
                for row in batch.to_pylist():
                    table.writerow(label_cells(row, config.classes, truth))
