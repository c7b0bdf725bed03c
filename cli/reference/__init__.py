"""The pages under docs/reference, made from the code: commands, parameters, tables, reasons.

`python -m cli.reference` writes them and docs/columns.md anew; a test holds them current.
"""
