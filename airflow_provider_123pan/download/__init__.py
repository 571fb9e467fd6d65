"""One image: its submission, the wait for its end, and the search for the stored file."""
