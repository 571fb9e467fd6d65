"""The demo: an Airflow moves the images of a small blog from old image hosts to a local 123pan."""
