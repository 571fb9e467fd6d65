"""``airflow pan123 check``: tests a deployment from where it runs."""
