"""Decision on a product's price: `chain.DECIDERS` lists all that may set it, in order, with the gate last."""
