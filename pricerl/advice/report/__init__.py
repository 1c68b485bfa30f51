"""Report for the seller: one self-contained page per product, made from ``advice.json`` alone."""
