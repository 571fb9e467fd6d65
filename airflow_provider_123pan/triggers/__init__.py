"""The triggers: they wait in the triggerer, and only read."""
