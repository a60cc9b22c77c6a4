"""Notebook 04: what only the study of aligned models needs."""
