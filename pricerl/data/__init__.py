"""Reading, cleaning, features and scaling of a seller's history."""
