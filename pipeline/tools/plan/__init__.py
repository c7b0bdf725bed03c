"""What a run would do, without doing it: units by the stages' own functions, prices by rates."""
