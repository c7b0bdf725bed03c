"""What every stage shares: the stage shell, the executor, the item store, tables, locks, costs, progress."""
