"""What a run would do and roughly cost, without running anything."""
