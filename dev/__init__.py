"""What developers run: a real Airflow, the demo, the picture of the connection form. Not installed."""
