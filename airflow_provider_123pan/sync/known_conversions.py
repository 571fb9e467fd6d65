"""What converted images were converted from, from one sync to the next.

A list states size and MD5 of an image's source, which the stored image does not have if the worker converted it. The
next sync would find that they differ, and upload the image again every night. So what was converted is kept in an
Airflow Variable, one for each account and target directory.
"""

from __future__ import annotations

from airflow_provider_123pan.account.account import account_variables
from airflow_provider_123pan.account.variables import Variables
from airflow_provider_123pan.sync.conversions import Conversion
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.kept_records import MAX_RECORDS, KeptRecords


class KnownConversions:
    """The conversions of images whose size or MD5 the list states.

    :param target: the directory of the images, as people know it.
    """

    def __init__(self, account: str, target: str, variables: Variables) -> None:
        self._records = KeptRecords(
            "pan123_conversions",
            account,
            target,
            variables,
            length=3,
            description="123pan: from what images were converted; made by the provider",
        )

    @classmethod
    def of(cls, account: str, target: str) -> KnownConversions:
        """Return what is known about a directory of an account."""
        return cls(account, target, account_variables())

    def load(self, inventory: Inventory) -> None:
        """Give a list what the Variable says about its images."""
        for key, (source_md5, source_size, etag) in self._records.read().items():
            number = inventory.number(key)
            if number is not None and source_size.isdecimal() and len(source_size) < 19:
                inventory.conversions.add(number, Conversion(source_md5, int(source_size), etag))

    def save(self, inventory: Inventory) -> None:
        """Keep what this sync has converted."""
        found = {
            inventory.key(number): [made.source_md5, str(made.source_size), made.etag]
            for number, made in inventory.conversions.with_statement(MAX_RECORDS)
        }
        self._records.add(found, "will be recognized by their names alone")
