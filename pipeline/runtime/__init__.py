"""What every stage shares: units, executor, item store, tables, locks, costs."""
