"""Reading: from a file to checked rows."""
