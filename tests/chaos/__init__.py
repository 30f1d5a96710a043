"""Runs that are killed again and again, and must come out as if nothing had been: `python -m tests.chaos --help`."""
