"""A finished dataset seen from outside: verified, shown, compared."""
