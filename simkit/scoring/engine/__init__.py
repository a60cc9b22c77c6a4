"""The engine: token sequences to log-probabilities, on the prefix tree or the padded path."""
