"""The services of a distributed Airflow, and a program that kills them while images are on their way."""
