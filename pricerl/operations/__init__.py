"""Operation of the advice: decision log, orders, kill switch, track record and supervision."""
