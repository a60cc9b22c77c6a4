"""What is measured of a model before, and beside, a study: does it answer the question at all?"""

from simkit.audit.pilot import pilot

__all__ = ["pilot"]
