"""Files from strangers: what is damaged, what lies and what means harm, and what becomes of it."""
