"""Choices in free text: where they stand, and the belief there, at hand or recorded."""
