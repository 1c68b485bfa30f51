"""What a person can ask for, one function each: settings and a shop in, records out."""
