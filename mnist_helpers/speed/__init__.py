"""The chapter on speed: a race, its networks, the older way to compare with, and a profile."""
