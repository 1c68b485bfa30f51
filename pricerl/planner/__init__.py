"""Plans: the best constant price, value iteration over remembered prices, and orders for a shelf."""
