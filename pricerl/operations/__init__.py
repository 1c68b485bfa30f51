"""What follows the advice: decision log, orders, kill switch, track record."""
