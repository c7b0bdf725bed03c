"""croissant.json: metadata of the shards in MLCommons' Croissant 1.0.

Every file is a FileObject with its checksum. Every config is a FileSet over its files and a
RecordSet over their columns. The document contains no date and no address, so that the same shards
give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pipeline.stages.shards.terms import Terms
from spfem_data.schema import COLUMNS, Column

_PARQUET = "application/x-parquet"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    dataset: str, description: str, version: str, terms: Terms, files: Mapping[str, str]
) -> dict[str, Any]:
    """The metadata as plain JSON values.

    Parameters
    ----------
    files
        sha256 of each Parquet file by its path, `data/<config>/<split>-...`.
    """
    configs = [
        config for config in COLUMNS if any(path.startswith(f"data/{config}/") for path in files)
    ]
    about = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": dataset,
        "description": description,
        "version": version,
        "license": terms.url or terms.text,
        "distribution": [
            *(_file(path, sha256) for path, sha256 in sorted(files.items())),
            *(_file_set(config) for config in configs),
        ],
        "recordSet": [_record_set(config) for config in configs],
    }
    return {**about, "citeAs": terms.cite} if terms.cite else about


def _file(path: str, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "encodingFormat": _PARQUET,
        "sha256": sha256,
    }


def _file_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-{config}",
        "name": f"files-{config}",
        "encodingFormat": _PARQUET,
        "includes": f"data/{config}/*.parquet",
    }


def _record_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "field": list(_fields(config, COLUMNS[config])),
    }


def _fields(config: str, columns: Iterable[Column]) -> Iterable[dict[str, Any]]:
    for column in columns:
        source: dict[str, Any] = {
            "fileSet": {"@id": f"files-{config}"},
            "extract": {"column": column.name},
        }
        if column.media:
            source["transform"] = {"jsonPath": "bytes"}
        field = {
            "@type": "cr:Field",
            "@id": f"{config}/{column.name}",
            "name": column.name,
            "description": column.doc,
            "dataType": _type(column),
            "source": source,
        }
        yield {**field, "repeated": True} if _is_list(column.type) else field


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind))


def _type(column: Column) -> str:
    if column.media:
        return {"image": "sc:ImageObject", "audio": "sc:AudioObject"}[column.media]
    kind = column.type.value_type if _is_list(column.type) else column.type
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
