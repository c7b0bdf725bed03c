"""The report: what came out, how far it can be trusted, and pictures to judge it by."""
