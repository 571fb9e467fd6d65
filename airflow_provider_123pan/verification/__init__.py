"""Loads images from where 123pan serves them."""
