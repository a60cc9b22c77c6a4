"""Settings of all tests."""

from hypothesis import settings

# No deadline: a busy machine is not a failing test. The same examples every time, so that a red
# run can be repeated.
settings.register_profile("simkit", deadline=None, derandomize=True)
settings.load_profile("simkit")
