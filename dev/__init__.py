"""Programs for developers, which are not installed: a real Airflow, the demo, the connection form's screenshot."""
