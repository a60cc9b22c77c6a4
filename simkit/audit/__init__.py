"""What is measured of a model before, and beside, a study: does it answer the question at all?"""

from simkit.audit.asking import Works, affordable, asked, measure
from simkit.audit.pilots import pilot
from simkit.audit.runs import affordable_runs, pilot_runs
from simkit.audit.shares import direct_shares

__all__ = ["Works", "affordable", "affordable_runs", "asked", "direct_shares", "measure", "pilot",
           "pilot_runs"]  # fmt: skip
