"""123pan itself, as its open platform shows it: nothing in here knows Airflow."""
