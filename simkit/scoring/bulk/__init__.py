"""Much of it: scores kept in a store, and designs that stream from file to file."""
