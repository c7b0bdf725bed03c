"""The command line `spfem-data`: one short function a command, no logic."""
