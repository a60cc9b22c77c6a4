"""Notebook 03: what only the study of fine-tuned populations needs."""
