"""`croissant.json`: the files of a build, what each column means, and how the data were made.

The vocabularies are Croissant 1.1 (http://mlcommons.org/croissant/1.1) and its extension for
responsible AI (http://mlcommons.org/croissant/RAI/1.0), in JSON-LD. Every split of every config is
a record set, as are the tables.

A column of labels refers to the classes in an annotation, not by itself: mlcroissant joins tables
in memory where a column refers to another, so it could not stream a dataset.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from cnlw_tools.card.about import ORIGINAL
from cnlw_tools.card.disclosure import (
    citations,
    disclose,
    has_web_images,
    licence_of,
    summarise_dataset,
)
from cnlw_tools.card.file_list import CROISSANT, DATA
from cnlw_tools.card.metadata import BuildCard, ConfigCard, data_files
from cnlw_tools.card.table_files import CLASSES, BuildTables, TableFile
from cnlw_tools.files import atomic_write
from cnlw_tools.files.texts import read_json
from cnlw_tools.noise import NOISE

Json = dict[str, Any]

HUB_DATASETS = "https://huggingface.co/datasets"
CLONE = "repository"  # the id of the clone of a repository

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "annotation": "cr:annotation",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "excludes": "cr:excludes",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "readLines": "cr:readLines",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "sdVersion": "cr:sdVersion",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "unArchive": "cr:unArchive",
    "value": "cr:value",
}
PARQUET = "application/x-parquet"
LABEL_TYPES = ["sc:Integer", "cr:Label"]
MEANINGS = {  # of the columns of shards, besides those in the card
    "image": "The picture.",
    "label": "The label that a learner gets.",
    "clean_label": "The true label; null if nobody knows it, as for a foreign image.",
    "is_noisy": "Whether the given label is wrong for the image.",
    "origin": "Where the image comes from: base (the clean dataset), web, other (another "
    "dataset) or white (white noise).",
    "image_id": "The id of the image.",
    "replaces": "The id of the image that lost its slot to this one; null if the image stayed.",
}
TYPES: dict[str, str | list[str]] = {
    "image": "sc:ImageObject",
    "label": LABEL_TYPES,
    "clean_label": LABEL_TYPES,
    "is_noisy": "sc:Boolean",
    "origin": "sc:Text",
    "image_id": "sc:Text",
    "replaces": "sc:Text",
}
PROPERTIES = {"origin": "dct:source", "replaces": "dct:replaces"}  # that columns stand for
REPEATING = {"dilutes", "adds"}  # guarantees of noise in which an image may occur twice


def write_croissant(folder: Path, card: BuildCard, tables: BuildTables, n_classes: int) -> None:
    """Write `croissant.json` into the folder of a build atomically.

    Args:
        folder: the folder of the build
        card: the metadata of the build
        tables: what its tables hold
        n_classes: the number of classes
    """
    content = describe_build(card, tables, n_classes)
    with atomic_write(folder / CROISSANT) as draft:
        draft.write_text(to_text(content), encoding="utf-8")


def write_located_croissant(folder: Path, path: Path, repository: str, tag: str) -> None:
    """Write the description of a build in a repository of the Hub atomically.

    Args:
        folder: the folder of the build
        path: the file to write
        repository: OWNER/NAME
        tag: of the version; empty: the newest

    Raises:
        OSError: the file cannot be written
    """
    content = read_json(folder / CROISSANT, "build again")
    with atomic_write(path) as draft:
        draft.write_text(to_text(locate_in_repository(content, repository, tag)), encoding="utf-8")


def to_text(content: Mapping[str, Any]) -> str:
    """Return the text of a file with this content."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def describe_build(card: BuildCard, tables: BuildTables, n_classes: int) -> Json:
    """Return what `croissant.json` says of a build.

    Args:
        card: the metadata of the build
        tables: what its tables hold
        n_classes: the number of classes
    """
    about = card.about
    made_with = ", ".join(f"{name} {version}" for name, version in card.made_with.items())
    optional_keys: Json = {
        "license": licence_of(about),
        "url": about.url,
        "version": about.version,
        "datePublished": about.published,
        "creator": [{"@type": "Person", "name": name} for name in about.creators],
        "prov:wasDerivedFrom": _list_sources(card),
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": card.dataset,
        "description": summarise_dataset(card, n_classes),
        "conformsTo": CONFORMS_TO,
        **{key: value for key, value in optional_keys.items() if value},
        "citeAs": "\n\n".join(citations(about)),
        "keywords": ["label noise", "noisy labels", "image classification"],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"cnlw build, with {made_with}",
        },
        **disclose(card, tables.candidates),
        "distribution": [*_list_files(card, tables), *_file_sets(card)],
        "recordSet": [*map(_table_records, tables.files), *_config_records(card)],
    }


def _list_sources(card: BuildCard) -> list[Json]:
    """Return where the images come from, as far as anybody has said it."""
    sources: list[Json] = []
    for name in card.about.source_datasets:
        if name == ORIGINAL:
            sources.append({"@type": "prov:Entity", "prov:label": "Images from no other dataset."})
        else:
            sources.append({"@id": name})
    if has_web_images(card):
        label = "Images that web searches returned; `tables/web.parquet` has their addresses."
        sources.append({"@type": "prov:Entity", "prov:label": label})
    return sources


def locate_in_repository(content: Json, repository: str, tag: str) -> Json:
    """Return the description of a build whose files are read from a repository of the Hub.

    Programs that get this file alone, such as the checkers of conferences, clone the repository.

    Args:
        content: what ``croissant.json`` in the folder of the build says
        repository: OWNER/NAME
        tag: of the version; empty: the newest
    """
    page = f"{HUB_DATASETS}/{repository}"
    revision = f"/tree/{quote(f'refs/tags/{tag}', safe='')}" if tag else ""
    clone = {
        "@type": "cr:FileObject",
        "@id": CLONE,
        "name": CLONE,
        "description": "The git repository with all files.",
        "contentUrl": f"{page}{revision}",
        "encodingFormat": "git+https",
        "sha256": _digest_of_files(content["distribution"]),
    }
    files = [{**file, "containedIn": {"@id": CLONE}} for file in content["distribution"]]
    return {**content, "url": content.get("url", page), "distribution": [clone, *files]}


def _digest_of_files(distribution: Iterable[Json]) -> str:
    """Return a sha256 of the sha256 of all files, as that of a whole repository is not defined."""
    digest = hashlib.sha256()
    for file in distribution:
        if "sha256" in file:
            digest.update(f"{file['@id']} {file['sha256']}\n".encode())
    return digest.hexdigest()


def _list_files(card: BuildCard, tables: BuildTables) -> Iterable[Json]:
    """Yield each file of tables/ and data/ with its sha256."""
    hashes = {f"tables/{table.name}": table.sha256 for table in tables.files}
    hashes |= {f"{DATA}{name}": sha256 for name, sha256 in card.shards.items()}
    for path, sha256 in hashes.items():
        yield {
            "@type": "cr:FileObject",
            "@id": path,
            "contentUrl": path,
            "encodingFormat": PARQUET if path.endswith(".parquet") else "text/csv",
            "sha256": sha256,
        }


def _file_sets(card: BuildCard) -> Iterable[Json]:
    """Yield the files of each split of each config, by the patterns that the card has."""
    for name, config in card.configs.items():
        for entry in data_files(config):
            yield {
                "@type": "cr:FileSet",
                "@id": f"files/{name}/{entry['split']}",
                "encodingFormat": PARQUET,
                "includes": entry["path"],
            }


def _config_records(card: BuildCard) -> Iterable[Json]:
    """Yield a record set of each split of each config."""
    for name, config in card.configs.items():
        for split, n_rows in config.rows.items():
            yield _split_records(name, config, split, n_rows)


def _split_records(name: str, config: ConfigCard, split: str, n_rows: int) -> Json:
    """Return the record set of one split: an image, its labels, and where it comes from."""
    set_id = f"{name}/{split}"
    source = {"fileSet": {"@id": f"files/{set_id}"}}
    records: Json = {
        "@type": "cr:RecordSet",
        "@id": set_id,
        "description": f"Split {split} of config {name}: {n_rows:,} examples.",
    }
    noise = NOISE.get(config.recipe.noise)
    if noise and not noise.guarantees & REPEATING:
        records["key"] = {"@id": f"{set_id}/image_id"}
    fields = []
    for column, meaning in MEANINGS.items():
        field = _field(set_id, column, TYPES[column], source)
        field["description"] = meaning
        if column == "image":
            field["source"]["transform"] = {"jsonPath": "bytes"}
        if column in PROPERTIES:
            field["equivalentProperty"] = PROPERTIES[column]
        if column == "label" and split == "train":
            field["prov:wasGeneratedBy"] = {
                "@type": "prov:Activity",
                "prov:label": _noise_label(config),
            }
        fields.append(field)
    return {**records, "field": fields}


def _noise_label(config: ConfigCard) -> str:
    """Return what made the labels of a config, such as ``red noise at 40 %, seed 0``."""
    level = "" if config.level is None else f" at {config.level} %"
    return f"{config.recipe.noise} noise{level}, seed {config.recipe.seed}"


def _field(set_id: str, column: str, data_type: str | list[str], source: Json) -> Json:
    """Return a column of a record set; one of labels with the class that it names."""
    field_id = f"{set_id}/{quote(column, safe='')}"
    extracted = {**source, "extract": {"column": column}}
    field: Json = {
        "@type": "cr:Field",
        "@id": field_id,
        "dataType": data_type,
        "source": extracted,
    }
    if data_type == LABEL_TYPES:
        field["annotation"] = {
            "@type": "cr:Field",
            "@id": f"{field_id}/class",
            "description": "The class with this label.",
            "dataType": "sc:Integer",
            "references": {"field": {"@id": "tables/classes/label"}},
            "source": extracted,
        }
    return field


def _table_records(table: TableFile) -> Json:
    """Return the record set of a table, one record a row."""
    set_id = f"tables/{table.name.partition('.')[0]}"
    source = {"fileObject": {"@id": f"tables/{table.name}"}}
    records: Json = {"@type": "cr:RecordSet", "@id": set_id}
    fields = []
    for column, kind in table.columns:
        field = _table_field(set_id, column, kind, source)
        if field:
            fields.append(field)
    if table.name == CLASSES:
        records["dataType"] = "sc:Enumeration"
        records["key"] = {"@id": f"{set_id}/label"}
        for field in fields:
            field.pop("annotation", None)
    return {**records, "field": fields}


def _table_field(set_id: str, column: str, kind: pa.DataType, source: Json) -> Json:
    """Return a column of a table; nothing of a type that Croissant has no word for."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    data_type = _data_type(kind.value_type if is_list else kind)
    if not data_type:
        return {}
    if column == "label" and data_type == "sc:Integer":
        return _field(set_id, column, LABEL_TYPES, source)
    field = _field(set_id, column, data_type, source)
    if is_list:
        field["isArray"] = True
        field["arrayShape"] = "-1"
    if column == "annotator":
        field["equivalentProperty"] = "prov:wasAttributedTo"
    return field


def _data_type(kind: pa.DataType) -> str:
    """Return what Croissant calls a type of Arrow; nothing if it has no word for it."""
    checks = {
        "sc:Boolean": pa.types.is_boolean,
        "sc:Integer": pa.types.is_integer,
        "sc:Float": pa.types.is_floating,
        "sc:DateTime": pa.types.is_timestamp,
        "sc:Date": pa.types.is_date,
    }
    for name, is_of_type in checks.items():
        if is_of_type(kind):
            return name
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return "sc:Text" if is_text else ""
