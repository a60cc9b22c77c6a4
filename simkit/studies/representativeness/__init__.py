"""Notebook 05: what only the study of representativeness needs."""
