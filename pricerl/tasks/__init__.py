"""Tasks, one function per thing that a person can ask for: settings and a shop in, records out."""
