"""docs/reference/parameters.md: every key of params.yaml, with its values, default and meaning.

Keys, types and bounds come from the models in `pipeline.params`, defaults and meanings from
params.yaml and its comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cli.reference.text import code, made_from, table
from pipeline.params import Params, default_text

PAGE = Path("docs/reference/parameters.md")
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true, false"}
_CLAUSE = re.compile(r"(?:^|(?<=\. ))((?:\w+, )*\w+): (.*?)\.?(?= (?:\w+, )*\w+: |$)")
"""One of several keys in a shared comment: `seed: of the hash. validation, test: shares.`"""
_KEY = re.compile(r"^( *)([A-Za-z0-9_-]+):( |$)")


@dataclass(frozen=True)
class Parameter:
    """One key: dotted path, accepted values, default as YAML, meaning."""

    path: str
    values: str
    default: str
    meaning: str


def parameters() -> list[Parameter]:
    """All keys, in the order of params.yaml; of named entries, only the first."""
    text = default_text()
    schema = Params.model_json_schema()
    values = YAML(typ="safe", pure=True).load(text)
    return list(_walk((), values, schema, schema, meanings(text)))


def page() -> str:
    """The page as Markdown."""
    sections: dict[str, list[Parameter]] = {}
    for parameter in parameters():
        sections.setdefault(parameter.path.partition(".")[0], []).append(parameter)
    head = (
        "# Parameters\n\n"
        + made_from("`pipeline/params.py` and the comments of `params.yaml`")
        + "\n"
        "\nEvery key is required; an unknown key is an error. Settings that never change a result\n"
        "(workers, engine, shard) are command-line options instead."
    )
    parts = [
        f"## `{name}`\n\n"
        + table(
            ["key", "values", "default", "meaning"],
            [(code(p.path), p.values, code(p.default), p.meaning) for p in rows],
        )
        for name, rows in sections.items()
    ]
    return "\n\n".join([head, *parts]) + "\n"


def meanings(text: str) -> dict[tuple[str, ...], str]:
    """The comment of each key of a params.yaml.

    A key's comment is after it or on the lines above it; the first comment in a section is the
    section's. Keys of a mapping in braces share its comment.
    """
    comments: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    above: list[str] = []
    opened = False
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            above.append(stripped.removeprefix("#").strip())
            continue
        if opened and above:
            comments[tuple(path)] = " ".join([comments[tuple(path)], *above]).strip()
            above = []
        opened = False
        match = _KEY.match(line)
        if match:
            path = [*path[: len(match[1]) // 2], match[2]]
            after = line.partition(" # ")[2].strip()
            comments[tuple(path)] = " ".join([*above, after]).strip()
            opened = not match[3] or line.partition(":")[2].strip().startswith("#")
        above = []
    return comments


Comments = dict[tuple[str, ...], str]


def _walk(
    path: tuple[str, ...], value: Any, schema: Any, root: Any, comments: Comments
) -> Iterator[Parameter]:
    """The keys at and below a path, in the order of params.yaml."""
    schema = _resolve(schema, root)
    if "properties" in schema:
        for key, inner in value.items():
            yield from _walk((*path, key), inner, schema["properties"][key], root, comments)
    elif "properties" in _resolve(_entries(schema), root):
        first = next(iter(value))  # of named entries, the first, under the name `<name>`
        own, n = (*path, first), len(path) + 1
        named = {key: text for key, text in comments.items() if key[:n] == own and len(key) > n}
        shown = {(*path, "<name>", *key[n:]): text for key, text in named.items()}
        entry = _entries(schema)
        yield from _walk((*path, "<name>"), value[first], entry, root, comments | shown)
    else:
        meaning = _meaning(path, comments)
        yield Parameter(".".join(path), _values(schema, root), _yaml(value), meaning)


def _meaning(path: tuple[str, ...], comments: dict[tuple[str, ...], str]) -> str:
    """The key's comment, else its clause in the comment of the nearest key above it."""
    for end in range(len(path), 0, -1):
        text = comments.get(path[:end], "")
        clauses = {
            name: clause for names, clause in _CLAUSE.findall(text) for name in names.split(", ")
        }
        if text:
            return clauses.get(path[-1], text) if end < len(path) else text
    return ""


def _resolve(schema: Any, root: Any) -> Any:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _entries(schema: Any) -> Any:
    """The schema of a mapping's values; {} for anything else."""
    if schema.get("additionalProperties"):
        return schema["additionalProperties"]
    return next(iter(schema.get("patternProperties", {"": {}}).values()))


def _values(schema: Any, root: Any) -> str:
    schema = _resolve(schema, root)
    if "anyOf" in schema:
        return " or ".join(_values(part, root) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(code(str(v)) for v in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    if schema.get("type") == "null":
        return "null"
    if schema.get("type") == "array":
        return "list of " + _values(schema["items"], root)
    if schema.get("type") == "object":
        return "mapping of names to " + _values(_entries(schema), root)
    return _KINDS.get(schema.get("type", ""), "mapping") + _bounds(schema)


def _bounds(schema: Any) -> str:
    words = {
        "minimum": "at least", "exclusiveMinimum": "above",
        "maximum": "at most", "exclusiveMaximum": "below",
    }  # fmt: skip
    return "".join(f", {word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _yaml(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
