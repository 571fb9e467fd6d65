"""React to new images on 123pan.

This DAG shows how a DAG starts when images arrive in a directory, no matter who put them there: another DAG, a person,
or a program. The triggerer watches the directory `arrivals`, and each finished image is an event of the asset
`pan123_arrivals`. Several events may share one run. An event can come twice, so tasks should not mind an image that
they know already.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger

arrivals = Asset(
    "pan123_arrivals",
    watchers=[AssetWatcher(name="new_images", trigger=Pan123ImageArrivalTrigger(directory="arrivals"))],
)


@dag(schedule=[arrivals], tags=["example", "123pan"], doc_md=__doc__)
def example_pan123_arrivals() -> None:
    """Print the new URL of each image that arrives."""

    @task
    def show(**context: Any) -> dict[str, str]:
        """Print the images of this run, and return their new URLs by name."""
        images = [event.extra["payload"] for event in context["triggering_asset_events"][arrivals]]
        new_urls = {image["file_name"]: image["user_url"] or image["download_url"] for image in images}
        for name, new_url in new_urls.items():
            print(f"{name} is now {new_url}")
        return new_urls

    show()


example_pan123_arrivals()
