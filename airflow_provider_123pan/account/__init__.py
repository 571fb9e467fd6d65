"""The fields, access token and request rate that all tasks of one connection share."""
