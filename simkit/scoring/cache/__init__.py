"""The cache: what any model computed, kept in one file and looked up instead of computed anew."""
