"""How long a call is repeated while the service refuses it because of its load."""

#: Seconds for which a refused call is repeated.
RETRY_FOR_SECONDS = 600.0
#: Seconds for which a refused read is repeated if the caller polls again later anyway.
READ_RETRY_SECONDS = 30.0
#: Seconds between two submissions while the account has too many offline tasks; other clients of the service use the
#: same pauses (observed).
TOO_MANY_TASKS_PAUSES = (5.0, 15.0, 30.0)
#: Seconds before each repetition of a read that was redirected.
REDIRECT_PAUSES = (1.0, 2.0, 4.0)
