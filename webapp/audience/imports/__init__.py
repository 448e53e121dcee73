"""Imports: a file of leads becomes leads, once, whole or not at all, and can be taken back."""
