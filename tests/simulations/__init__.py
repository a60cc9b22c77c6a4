"""How often intervals contain the truth and tests reject it, by simulation of known truth.

Each module of this package lists `CASES` for the estimators of one study. The short form, some
hundred repetitions, is a test (tests/simulations/test_cases.py); the long form writes
docs/coverage.md (`make coverage`). Data are made here, by code that shares nothing with simkit.
"""
