"""Segment rules: a tree of rules over allow-listed fields, parsed, checked and compiled to one SQL condition."""
