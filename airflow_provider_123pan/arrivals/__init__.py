"""New images of a directory, as a watch finds them."""
