"""Notebook 06: what only the study of mixed subjects needs."""
