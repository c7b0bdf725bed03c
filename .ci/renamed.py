"""Compare all data of two revisions under a table of renames: `python .ci/renamed.py OLD NEW`.

OLD and NEW are folders `data/<dataset>`. Tables and items must have the same rows, files that hold
images and audio the same bytes, JSON and CSV the same values. Left out: receipts and manifest (they
hold digests of what is compared here), the dataset card and the report page (prose). Lists of names
are sorted, because they are sorted by name in the data.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

TABLE = YAML(typ="safe").load(Path(__file__).with_name("renames.yaml"))
WORDS = re.compile(r"\b(" + "|".join(TABLE["words"]) + r")\b")
LEFT_OUT = ("manifest.json", "croissant.json", "README.md", "report.html")
UNSTABLE = ("seconds", "fingerprint", "done", "reused", "removed", "see", "rows_sha256")
"""Keys and columns that tell of the run, or are digests of what is compared here."""


def renamed(value: Any) -> Any:
    """A value of JSON or a row with old names replaced, unstable keys dropped."""
    if isinstance(value, str):
        text = WORDS.sub(lambda match: TABLE["words"][match.group()], value)
        head, colon, names = text.partition(": ")
        return head + colon + ", ".join(sorted(names.split(", ")))
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in UNSTABLE}
        return {renamed(key): renamed(item) for key, item in kept.items()}
    if isinstance(value, list):
        items = [renamed(item) for item in value]
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value


def table(path: Path) -> pa.Table:
    """A Parquet file under new names; text and lists of text are renamed in place."""
    read = pq.read_table(path).replace_schema_metadata(None)
    read = read.drop_columns([name for name in read.column_names if name in UNSTABLE])
    read = read.rename_columns([TABLE["columns"].get(name, name) for name in read.column_names])
    for k, field in enumerate(read.schema):
        inner = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_string(inner):
            values = pa.array([renamed(value) for value in read.column(k).to_pylist()], field.type)
            read = read.set_column(k, field.name, values)
    return pa.Table.from_batches(
        read.to_batches(), pa.schema([(f.name, f.type) for f in read.schema])
    )


def equal(old: Path, new: Path) -> bool:
    """Whether two files hold the same under the table of renames."""
    if old.suffix == ".parquet":
        a, b = table(old), table(new)
        return a.schema.equals(b.schema) and repr(a.to_pydict()) == repr(
            b.to_pydict()
        )  # nan == nan
    if old.suffix == ".json":
        a, b = (renamed(json.loads(path.read_text(encoding="utf-8"))) for path in (old, new))
        return bool(a == b)
    if old.suffix == ".csv":
        return bool(
            renamed(old.read_text(encoding="utf-8")) == renamed(new.read_text(encoding="utf-8"))
        )
    return old.read_bytes() == new.read_bytes()


def main(old: Path, new: Path) -> int:
    """Print what differs; 1 if anything does."""
    kept = {
        root: sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.is_file()
            and path.name not in LEFT_OUT
            and ".receipt." not in path.name
            and ".local" not in path.parts
        )
        for root in (old, new)
    }
    names = {name: TABLE["tables"].get(name, name) for name in kept[old]}
    missing = sorted(set(names.values()) ^ set(kept[new]))
    differing = [
        name for name, later in names.items()
        if later in set(kept[new]) and not equal(old / name, new / later)
    ]  # fmt: skip
    for name in missing:
        print(f"only in one of the two: {name}")
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(names) - len(differing)} of {len(names)} files equal under the table of renames")
    return int(bool(missing or differing))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
