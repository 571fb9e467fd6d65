"""One image: its submission, the wait for its end, and the lookup of the stored image."""
