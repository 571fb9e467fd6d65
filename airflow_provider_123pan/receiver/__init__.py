"""The server that 123pan calls: mounted in Airflow's API server, or standalone."""
