"""From "the service calls us" to "the waiting task knows"."""
