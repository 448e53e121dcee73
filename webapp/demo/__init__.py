"""The demo: two made-up organisations with two years of plausible life, so that every page has something to show.

People, places and letters are invented here and nothing is asked of the network: names from lists, telephone numbers
from the range kept for fiction (555-01xx), addresses at example.com. First everything is made up in memory, from one
seeded source of chance, then it is written in bulk in one transaction.
"""

from webapp.demo.seeding import PASSWORD, seed

__all__ = ["PASSWORD", "seed"]
