"""What the receiver and those who read its inbox agree on."""

from __future__ import annotations

MARKER = "X-Pan123-Inbox"  # header of every answer of the inbox: without it, somebody else answered
MAX_ITEMS = 1000  # callbacks per look-up, and deliveries per poll
MAX_POLL_SECONDS = 25.0  # of a long poll: below the usual 30 s of proxies and of a graceful shutdown
MAX_DELIVERIES = 4  # deliveries kept per submission, so that a lying first one cannot hide the true one
