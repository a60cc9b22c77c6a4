"""How fast simkit scores options, beside other tools and beside what must be computed at least."""
