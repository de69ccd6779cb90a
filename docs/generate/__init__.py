"""The pages of the documentation site that are made from code, tables and files of the project.

`python -m docs.generate FOLDER` writes them, the pages written by hand and the settings of the
site builder into FOLDER; `make docs` turns that into HTML.
"""
