"""The routes of a page of pictures: the page, what it shows, and each picture when it is wanted.

./                      the page
./items.js              what it shows
./pictures/7.jpg        a picture, in the format that it is stored in
./thumbnails/7.jpg      a small copy for the grid; a small picture as it is
"""

import flask

from cnlw_tools.browser.app import PICTURE_CACHE, STATIC
from cnlw_tools.browser.items import Items, encode_items
from cnlw_tools.browser.numbered_pictures import PictureFile, Pictures, Thumbnails
from cnlw_tools.browser.static_folder import PAGE
from cnlw_tools.files.untrusted import error_line


def make_pages(items: Items, pictures: Pictures) -> flask.Blueprint:
    """Return the routes of a page.

    Args:
        items: what the page shows
        pictures: of the items
    """
    pages = flask.Blueprint("pictures", __name__)
    script = encode_items(items)
    thumbnails = Thumbnails(pictures)

    @pages.get("/")
    def page() -> flask.Response:
        return flask.Response((STATIC / PAGE).read_bytes(), mimetype="text/html")

    @pages.get("/items.js")
    def items_script() -> flask.Response:
        return flask.Response(script, mimetype="text/javascript")

    @pages.get("/pictures/<int:index>.jpg")
    def picture(index: int) -> flask.Response:
        return _answer(pictures, index)

    @pages.get("/thumbnails/<int:index>.jpg")
    def thumbnail(index: int) -> flask.Response:
        return _answer(thumbnails, index)

    return pages


def _answer(pictures: Pictures, index: int) -> flask.Response:
    """Return the answer with a picture; 404 where there is none, or it cannot be read."""
    try:
        picture = pictures.read(index)
    except (LookupError, ValueError, OSError) as error:
        flask.current_app.logger.warning("picture %d: %s", index, error_line(error))
        flask.abort(404)
    return _make_answer(picture)


def _make_answer(picture: PictureFile) -> flask.Response:
    response = flask.Response(picture.data, mimetype=f"image/{picture.format}")
    response.headers["Cache-Control"] = PICTURE_CACHE
    return response
