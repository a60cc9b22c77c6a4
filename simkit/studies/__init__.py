"""What a study's notebook calls beside the library's own parts, and the tables it shows."""
