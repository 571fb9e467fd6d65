"""Seeded fuzz runs: what comes from outside gives a value of the declared type or an error of the provider.

A part is a module of this package with two names: ``EXAMPLES``, how many inputs it makes by default, and
``fuzz(examples, seed)``, which returns a line of figures or raises what it found.
"""
