"""A distributed Airflow's services, and programs that break or load it while images are in flight."""
