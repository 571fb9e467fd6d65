"""An Airflow home of the test run's own, before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Neither the settings nor the connections of whoever runs the tests have a say in them.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

_home = tempfile.mkdtemp(prefix="pan123-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
