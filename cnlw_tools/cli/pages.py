"""How commands hand over a page of pictures: they serve it, or write it as a folder."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cnlw_tools.browser.items import Items
    from cnlw_tools.browser.numbered_pictures import Pictures


def check_page_folder(out: Path | None) -> None:
    """Raise if no page can be written into a folder, before long work.

    Raises:
        FileExistsError: something else is there
    """
    if out is not None:
        from cnlw_tools.browser.static_folder import check_folder

        check_folder(out)


def serve_or_write(items: "Items", pictures: "Pictures", out: Path | None, content: str) -> None:
    """Serve a page until Ctrl-C or SIGTERM, or write it as a folder.

    Args:
        items: what the page shows
        pictures: of the items
        out: the folder; none: serve the page
        content: what the page is, for messages

    Raises:
        ValueError, LookupError, OSError: it cannot be served or written
    """
    if out is None:
        _serve(items, pictures, content)
        return
    from cnlw_tools.browser.static_folder import write_folder
    from cnlw_tools.executor.progress import ProgressBars

    with ProgressBars() as bars:
        write_folder(out, items, pictures, bars)
    click.echo(f"{out / 'index.html'}: {content}; open it in a browser")
    click.echo(
        "Web images belong to other people: before you give this folder to anybody, check that "
        "you may share them"
    )


def _serve(items: "Items", pictures: "Pictures", content: str) -> None:
    from cnlw_tools.browser.picture_pages import make_pages
    from cnlw_tools.browser.serve import LOOPBACK, open_server

    with open_server(make_pages(items, pictures), LOOPBACK, None, content) as server:
        click.echo(content)
        click.echo(f"page: {server.address}")
        click.echo("Open the page in a browser. Ctrl-C stops the server.")
        server.run()
