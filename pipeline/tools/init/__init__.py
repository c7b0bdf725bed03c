"""Create a params.yaml: recognise corpora by their file names, add entries for them."""

from pipeline.tools.init.entries import Entry, add_entry, entries, free_name, without_datasets
from pipeline.tools.init.recognise import Recognised, recognise

__all__ = [
    "Entry",
    "Recognised",
    "add_entry",
    "entries",
    "free_name",
    "recognise",
    "without_datasets",
]
