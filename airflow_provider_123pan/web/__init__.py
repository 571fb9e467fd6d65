"""The page in Airflow's UI: what the tasks of this provider have done, from the metadata database and results files."""
