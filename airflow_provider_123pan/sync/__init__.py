"""Many images: a sync brings a directory in line with a list."""
