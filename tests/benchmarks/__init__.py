"""Benchmarks: each module is a program that `make bench-…` runs; pytest collects none of them."""
