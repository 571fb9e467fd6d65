"""How long a call is repeated while the service refuses it for its load."""

# Seconds for which a call is queued again.
RETRY_FOR_SECONDS = 600.0
# Seconds for a question that is asked again later anyway.
READ_RETRY_SECONDS = 30.0
# Seconds between two submissions while the account has too many offline tasks: what the service's users settled on.
TOO_MANY_TASKS_PAUSES = (5.0, 15.0, 30.0)
