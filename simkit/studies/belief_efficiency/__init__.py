"""Notebook 02: what only the study of belief and choice needs."""
