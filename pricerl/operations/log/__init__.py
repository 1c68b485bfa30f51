"""The decision log: typed entries, their hash chain and head, the orders among them, and the origin of an advice."""
