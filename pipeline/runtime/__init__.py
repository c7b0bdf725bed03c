"""What every stage shares: the shell, the executor, the item store, tables, locks, costs."""
