"""Audit of pair lists in the published schema, alone or compared with a dataset."""
