"""A finished dataset seen from outside: verified, shown, compared. Needs the base install alone."""
