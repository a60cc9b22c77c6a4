"""Tables that do not fit in memory: one batch after another, here or on a cluster."""
