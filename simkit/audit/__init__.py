"""What is measured of a model before, and beside, a study: does it answer the question at all?"""

from simkit.audit.asking import Works, affordable, asked, measure
from simkit.audit.pilots import pilot
from simkit.audit.shares import direct_shares

__all__ = ["Works", "affordable", "asked", "direct_shares", "measure", "pilot"]
