"""Seeded fuzz runs."""
