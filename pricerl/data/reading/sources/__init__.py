"""Sources of a seller's data as tables of text: files of several formats, folders, databases."""
