"""Checks whether images are still served."""
