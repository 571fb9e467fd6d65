"""The header and the limits that the receiver and the readers of its inbox agree on."""

from __future__ import annotations

MARKER = "X-Pan123-Inbox"  # a header of every answer of the inbox; without it, another server answered
MAX_ITEMS = 1000  # callbacks per look-up, and deliveries per poll
MAX_POLL_SECONDS = 25.0  # of a long poll: below the usual 30 s time limit of proxies and graceful shutdowns
MAX_DELIVERIES = 4  # stored per submission, so that a false first delivery cannot hide the true one
