"""`make bench`: what the house can do, each figure as a ratio to a reference measured in the same run."""
