"""A first params.yaml: corpora recognised by looking, entries written beside what is there."""

from pipeline.tools.init.entries import Entry, add_entry, entries, free_name
from pipeline.tools.init.recognise import Recognised, recognise

__all__ = ["Entry", "Recognised", "add_entry", "entries", "free_name", "recognise"]
