"""The API of 123pan's open platform; this package is independent of Airflow."""
