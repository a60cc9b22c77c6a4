"""Runs: text sampled on a growing tree, then the belief at its answer."""
