"""A distributed Airflow's services, and programs that break or load it while images are on their way."""
