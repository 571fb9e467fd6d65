"""What all tasks of one connection share: its checked fields, the access token, and the request rate."""
