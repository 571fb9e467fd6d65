"""Files of the cloud drive, as the options describe them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DriveFile(BaseModel):
    """A file of the cloud drive; its image is made from its id."""

    model_config = ConfigDict(extra="forbid")

    file_id: str = Field(min_length=1, description="id on the cloud drive")
    filename: str = Field(min_length=1, description="name")
    fails: bool = Field(default=False, description="the file cannot be copied")
